from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr.callbacks import tables
from sr.callbacks.checkpoints import RunCheckpoints
from sr.callbacks.tables import EpochTable, ImageScores
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.terms import Batch, Part, StepOutput
from tests.support.runs import Command, MakeFolder

MODULE: Any = SimpleNamespace(device=torch.device("cpu"))
BATCH: Batch = {"lr": torch.zeros(1, 3, 2, 2), "hr": torch.zeros(1, 3, 2, 2), "name": ["a"], "group": ["photograph"]}


def fake_trainer(folder: Path, *, epoch: int = 0, is_best: bool = True) -> Any:
    checkpoints = RunCheckpoints(str(folder))
    checkpoints.epoch_is_best = is_best
    return SimpleNamespace(
        callbacks=[checkpoints],
        default_root_dir=str(folder),
        current_epoch=epoch,
        max_epochs=3,
        global_step=10 * (epoch + 1),
        world_size=1,
        accumulate_grad_batches=1,
        is_global_zero=True,
        loggers=[],
        callback_metrics={"val/psnr": torch.tensor(30.0 + epoch), "val/gain": torch.tensor(0.5)},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.25}])],
        progress_bar_callback=None,
    )


def outputs(part: Part, psnr: float, name: str = "a") -> StepOutput:
    return {"part": part, "name": [name], "scores": {"psnr": torch.tensor([psnr])}, "sr": torch.zeros(1, 3, 2, 2)}


def validate(scores: ImageScores, trainer: Any, psnr: float) -> None:
    scores.on_validation_start(trainer, MODULE)
    scores.on_validation_batch_end(trainer, MODULE, outputs(Part.VAL, psnr), BATCH, 0)
    scores.on_validation_batch_end(trainer, MODULE, outputs(Part.TRAIN, 99.0, "t"), BATCH, 0, 1)
    scores.on_train_epoch_end(trainer, MODULE)


def test_the_image_table_holds_only_the_validation_images_of_the_best_epoch(tmp_path: Path) -> None:
    scores = ImageScores()
    validate(scores, fake_trainer(tmp_path, epoch=0), 30.0)
    validate(scores, fake_trainer(tmp_path, epoch=1, is_best=False), 29.0)
    assert read_table(RunFolder(tmp_path).images) == [
        {"name": "a", "group": "photograph", "psnr": "30.0", "epoch": "1"}
    ]
    assert scores.best == [{"name": "a", "group": "photograph", "psnr": 30.0, "epoch": 1}]
    validate(scores, fake_trainer(tmp_path, epoch=2), 31.0)
    assert scores.best == [{"name": "a", "group": "photograph", "psnr": 31.0, "epoch": 3}]


def test_an_epoch_without_a_validation_writes_nothing(tmp_path: Path) -> None:
    scores = ImageScores()
    scores.on_train_epoch_end(fake_trainer(tmp_path), MODULE)
    assert not RunFolder(tmp_path).images.exists()


@pytest.mark.parametrize("state", [{"best": [{"name": "a", "psnr": 30.0, "epoch": 0}]}, {"best": [], "score": 30.0}])
def test_a_resumed_run_restores_the_table_of_new_and_old_checkpoints(state: dict[str, Any]) -> None:
    scores = ImageScores()
    scores.load_state_dict(state)
    assert scores.best == state["best"]
    assert scores.state_dict() == {"best": state["best"]}


def test_test_images_have_a_separate_table(tmp_path: Path) -> None:
    scores = ImageScores()
    scores.on_test_batch_end(fake_trainer(tmp_path), MODULE, outputs(Part.TEST, 28.0, "t"), BATCH, 0)
    scores.on_test_end(fake_trainer(tmp_path), MODULE)
    assert read_table(RunFolder(tmp_path).test_images) == [{"name": "t", "group": "photograph", "psnr": "28.0"}]
    assert scores.test == [{"name": "t", "group": "photograph", "psnr": 28.0}]


def test_an_image_of_a_batch_without_groups_is_a_photograph_of_its_own(tmp_path: Path) -> None:
    scores, batch = ImageScores(), BATCH.copy()
    del batch["group"]
    scores.on_test_batch_end(fake_trainer(tmp_path), MODULE, outputs(Part.TEST, 28.0, "t"), batch, 0)
    scores.on_test_end(fake_trainer(tmp_path), MODULE)
    assert scores.test == [{"name": "t", "group": "t", "psnr": 28.0}]


def test_the_scores_of_all_images_leave_their_device_in_one_transfer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tolist, transfers = torch.Tensor.tolist, []

    def count(tensor: torch.Tensor) -> Any:
        transfers.append(tensor.shape)
        return tolist(tensor)

    monkeypatch.setattr(torch.Tensor, "tolist", count)
    scores, trainer = ImageScores(), fake_trainer(tmp_path)
    for number in range(3):
        step = outputs(Part.TEST, 28.0 + number, str(number))
        step["scores"] = {"psnr": step["scores"]["psnr"].double(), "ssim": torch.tensor([0.1])}
        scores.on_test_batch_end(trainer, MODULE, step, BATCH, number)
    scores.on_test_end(trainer, MODULE)
    assert transfers == [(6,)]
    assert [(row["psnr"], row["ssim"]) for row in scores.test] == [
        (28.0 + number, torch.tensor(0.1).item()) for number in range(3)
    ]


def run_epoch(table: EpochTable, trainer: Any, losses: list[tuple[float, int]], *, validates: bool) -> None:
    table.on_train_epoch_start(trainer, MODULE)
    for loss, count in losses:
        batch = {**BATCH, "lr": torch.zeros(count, 3, 2, 2)}
        table.on_train_batch_end(trainer, MODULE, {"loss": torch.tensor(loss)}, batch, 0)
    if validates:
        table.on_validation_end(trainer, MODULE)
    table.on_train_epoch_end(trainer, MODULE)


def test_the_loss_is_averaged_over_examples_and_only_validated_epochs_have_scores(tmp_path: Path) -> None:
    table = EpochTable()
    run_epoch(table, fake_trainer(tmp_path, epoch=0), [(1.0, 4), (4.0, 2)], validates=True)
    run_epoch(table, fake_trainer(tmp_path, epoch=1), [(3.0, 1)], validates=False)
    first, second = read_table(RunFolder(tmp_path).metrics)
    assert float(first["train/loss"]) == pytest.approx((4 * 1 + 2 * 4) / 6)
    assert float(second["train/loss"]) == pytest.approx(3)
    assert (first["epoch"], first["step"], first["lr"], first["val/psnr"]) == ("1", "10", "0.25", "30.0")
    assert (second["epoch"], second["val/psnr"]) == ("2", "")


def test_a_resumed_epoch_includes_the_steps_before_the_interruption(tmp_path: Path) -> None:
    interrupted = EpochTable()
    run_epoch(interrupted, fake_trainer(tmp_path, epoch=0), [(1.0, 4)], validates=True)
    interrupted.on_train_epoch_start(fake_trainer(tmp_path), MODULE)
    interrupted.on_train_batch_end(fake_trainer(tmp_path), MODULE, {"loss": torch.tensor(2.0)}, BATCH, 0)
    resumed = EpochTable()
    resumed.load_state_dict(interrupted.state_dict())
    trainer = fake_trainer(tmp_path, epoch=1)
    resumed.on_train_start(trainer, MODULE)
    resumed.on_train_batch_end(trainer, MODULE, {"loss": torch.tensor(4.0)}, BATCH, 1)
    resumed.on_train_epoch_end(trainer, MODULE)
    rows = read_table(RunFolder(tmp_path).metrics)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["train/loss"]) == pytest.approx(3)


def test_the_row_of_an_epoch_holds_the_values_of_trainer_and_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    monkeypatch.setattr(tables, "time", SimpleNamespace(perf_counter=lambda: now))
    logger = SimpleNamespace(logged=[])
    logger.log_metrics = lambda metrics, step: logger.logged.append((metrics, step))
    trainer = fake_trainer(tmp_path)
    trainer.loggers = [logger]
    trainer.callback_metrics |= {name: torch.tensor(0.5) for name in EpochTable.COLUMNS[5:] if name != "val/psnr"}
    table = EpochTable()
    table.on_train_start(trainer, MODULE)
    now += 50  # before the epoch starts
    table.on_train_epoch_start(trainer, MODULE)
    now += 2.5004
    table.on_train_batch_end(trainer, MODULE, {"loss": torch.tensor(0.125)}, BATCH, 0)
    table.on_validation_end(trainer, MODULE)
    with caplog.at_level("INFO", logger="sr.callbacks.tables"):
        table.on_train_epoch_end(trainer, MODULE)
    expected = {"epoch": 1, "step": 10, "seconds": 2.5, "lr": 0.25, "train/loss": 0.125, "val/psnr": 30.0}
    assert table.rows == [expected | {name: 0.5 for name in EpochTable.COLUMNS if name not in expected}]
    assert logger.logged == [({"epoch": 0, "train/loss": 0.125}, 9)]
    assert caplog.messages == ["epoch 1/3  2.5 s  train/loss 0.125  val/psnr 30.00 dB  gain +0.50"]


def test_the_loss_is_averaged_over_processes_and_printed_only_by_rank_0(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = fake_trainer(tmp_path)
    trainer.world_size, trainer.is_global_zero = 2, False
    other = torch.tensor(5.0)
    trainer.strategy = SimpleNamespace(reduce=lambda mean, reduce_op: (mean + other) / {"mean": 2, "sum": 1}[reduce_op])
    table = EpochTable()
    with caplog.at_level("INFO", logger="sr.callbacks.tables"):
        run_epoch(table, trainer, [(1.0, 4)], validates=False)
    assert table.rows[0]["train/loss"] == 3.0
    assert caplog.messages == []


def test_epochs_of_earlier_versions_which_counted_from_0_are_counted_from_1() -> None:
    table = EpochTable()
    table.load_state_dict({"rows": [{"epoch": 0, "step": 4}, {"epoch": 1, "step": 8}], "loss_sum": 0, "loss_count": 0})
    assert [row["epoch"] for row in table.rows] == [1, 2]
    again = EpochTable()
    again.load_state_dict(table.state_dict())
    assert again.rows == table.rows


def test_epochs_without_validation_log_no_scores(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="sr.callbacks.tables"):
        run_epoch(EpochTable(), fake_trainer(tmp_path, epoch=1), [(3.0, 1)], validates=False)
    (line,) = caplog.messages
    assert line.startswith("epoch 2/3")
    assert line.endswith("train/loss 3")


def test_the_time_of_a_resumed_epoch_counts_from_the_start_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(tables, "time", SimpleNamespace(perf_counter=lambda: now))
    table = EpochTable()
    table.on_train_start(fake_trainer(tmp_path), MODULE)
    now += 4
    table.on_train_epoch_end(fake_trainer(tmp_path), MODULE)
    assert table.rows[0]["seconds"] == 4


def test_the_loss_of_an_epoch_does_not_depend_on_how_many_batches_make_a_step(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root, losses = make_folder(count=10), []
    for batches in (1, 4):
        settings = ("trainer.max_epochs=1", f"+trainer.accumulate_grad_batches={batches}", "optimizer.lr=1e-12")
        code, text = command("data=isr", f"data.root={root}", *settings, "logger=none", folder=f"run_{batches}")
        assert code == 0, text
        losses.append(float(read_table(RunFolder(tmp_path / f"run_{batches}").metrics)[0]["train/loss"]))
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
