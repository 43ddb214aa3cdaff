import math
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr.callbacks.checkpoints import RunCheckpoints, WholeCheckpointIO, epoch_is_best, seconds_saving
from sr.callbacks.divergence import DivergenceGuard
from sr.errors import DivergedError, UserError
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from tests.support.runs import Command, MakeFolder, result_of
from tests.support.trainers import FakeTrainer, take_step

MODULE: Any = None


def fake_trainer(score: float | None, *, sanity_checking: bool = False) -> Any:
    """A trainer that has just validated with a score."""
    metrics = {} if score is None else {"val/psnr": torch.tensor(score)}
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision: decision)
    return SimpleNamespace(callback_metrics=metrics, sanity_checking=sanity_checking, strategy=strategy)


def decisions(checkpoints: RunCheckpoints, scores: list[float | None]) -> list[bool]:
    """Whether each epoch is the best so far at its end; the best score is stored as Lightning stores it."""
    is_best = []
    for epoch, score in enumerate(scores):
        checkpoints.on_train_epoch_start(fake_trainer(None), MODULE)
        if score is not None:
            checkpoints.on_validation_end(fake_trainer(score), MODULE)
        is_best.append(checkpoints.epoch_is_best)
        if checkpoints.epoch_is_best:
            assert score is not None
            checkpoints.best_k_models = {str(epoch): torch.tensor(score)}
            checkpoints.kth_best_model_path = str(epoch)
    return is_best


@pytest.mark.parametrize(
    ("mode", "scores", "expected"),
    [
        ("max", [1.0, 3.0, 3.0, 2.0, 4.0], [True, True, False, False, True]),
        ("min", [3.0, 4.0, 2.0, 2.0, 1.0], [True, False, True, False, True]),
        ("max", [math.nan, 1.0, math.nan, 2.0], [False, True, False, True]),
        ("min", [math.nan, 1.0, math.nan, 0.5], [False, True, False, True]),
        ("max", [None, 1.0, None, None, 2.0], [False, True, False, False, True]),
    ],
)
def test_the_first_of_equally_good_epochs_is_the_best_and_nan_never_is(
    mode: str, scores: list[float | None], expected: list[bool]
) -> None:
    assert decisions(RunCheckpoints("checkpoints", "val/psnr", mode), scores) == expected


def test_the_sanity_check_is_never_the_best_epoch() -> None:
    checkpoints = RunCheckpoints("checkpoints")
    checkpoints.on_validation_end(fake_trainer(1.0, sanity_checking=True), MODULE)
    assert not checkpoints.epoch_is_best


def test_other_callbacks_ask_run_checkpoints_whether_the_epoch_is_best() -> None:
    checkpoints = RunCheckpoints("checkpoints")
    trainer: Any = SimpleNamespace(callbacks=[object(), checkpoints])
    assert not epoch_is_best(trainer)
    checkpoints.epoch_is_best = True
    assert epoch_is_best(trainer)


def test_bad_options_are_refused() -> None:
    with pytest.raises(UserError, match=r"minutes must be 0 or more"):
        RunCheckpoints("checkpoints", minutes=-1)
    RunCheckpoints("checkpoints", minutes=0)  # after every step
    with pytest.raises(UserError, match="mode must be one of max, min, got 'best'"):
        RunCheckpoints("checkpoints", mode="best")


def fake_clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(
        "sr.callbacks.checkpoints.time", SimpleNamespace(monotonic=lambda: clock.now, perf_counter=lambda: clock.now)
    )
    return clock


def test_within_an_epoch_a_checkpoint_is_saved_at_the_given_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = fake_clock(monkeypatch)
    checkpoints = RunCheckpoints("checkpoints", minutes=2)
    checkpoints.on_fit_start(MODULE, MODULE)
    run: Any = FakeTrainer()
    run.callbacks = [checkpoints]
    save = run.save_checkpoint

    def slow_save(path: str) -> None:
        clock.now += 5
        save(path)

    run.save_checkpoint = slow_save
    try:
        saved_after: list[int] = []
        for seconds in range(30, 330, 30):
            clock.now = 1000 + seconds
            take_step(checkpoints, run)
            if len(run.saved) > len(saved_after):
                saved_after.append(seconds)
        assert saved_after == [120, 270]  # two minutes after the first was written, at 125
        assert checkpoints.saving_seconds == seconds_saving(run) == 2 * 5
        clock.now += 1000
        take_step(checkpoints, run, is_last=True)  # saved at the end of the epoch instead
    finally:
        checkpoints.release()
    assert run.saved == ["last.ckpt", "last.ckpt"]


@pytest.mark.parametrize("is_signalled", [False, True])
def test_within_an_epoch_no_checkpoint_is_saved_of_a_step_whose_loss_was_not_finite(
    is_signalled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = fake_clock(monkeypatch)
    guard, checkpoints = DivergenceGuard(), RunCheckpoints("checkpoints", minutes=2)
    checkpoints.on_fit_start(MODULE, MODULE)
    run: Any = FakeTrainer()
    run.callbacks = [guard, checkpoints]
    run.optimizers = [SimpleNamespace(param_groups=[{"lr": 0.1}])]
    arrives_later = SimpleNamespace(query=lambda: False)
    guard._pending.append((1, "loss", torch.tensor(math.nan), arrives_later))  # type: ignore[arg-type]
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: setattr(arrives_later, "query", lambda: True))
    clock.now += 121
    if is_signalled:
        checkpoints._received_signal = signal.SIGTERM
    on_gpu: Any = SimpleNamespace(
        device=torch.device("cuda"), automatic_optimization=True, parameters=torch.nn.Linear(1, 1).parameters
    )
    try:
        with pytest.raises(DivergedError, match="the loss is not finite at step 1"):
            checkpoints.on_train_batch_end(run, on_gpu, {}, {}, 0)
        checkpoints.on_exception(run, on_gpu, DivergedError())
    finally:
        checkpoints.release()
    assert run.saved == []


@pytest.mark.parametrize(
    ("mode", "scores", "saved", "best"),
    [
        ("max", [1.0, 3.0, 2.0], ["best.ckpt", "last.ckpt", "best.ckpt", "last.ckpt", "last.ckpt"], 3.0),
        ("min", [math.nan, 3.0, 2.0], ["last.ckpt", "best.ckpt", "last.ckpt", "best.ckpt", "last.ckpt"], 2.0),
    ],
)
def test_an_epoch_saves_the_best_before_the_last(
    mode: str, scores: list[float], saved: list[str], best: float, tmp_path: Path
) -> None:
    (tmp_path / "best.ckpt").touch()  # of a run that wrote no last.ckpt: overwritten
    checkpoints = RunCheckpoints(str(tmp_path), "val/psnr", mode)
    run: Any = FakeTrainer()
    for epoch, score in enumerate(scores):
        run.current_epoch, run.global_step = epoch, run.global_step + 5
        checkpoints.on_train_epoch_start(run, MODULE)
        run.callback_metrics = {"val/psnr": torch.tensor(score)}
        checkpoints.on_validation_end(run, MODULE)
        checkpoints.on_train_epoch_end(run, MODULE)
    assert run.saved == saved
    assert checkpoints.best_model_path == str(tmp_path / "best.ckpt")
    assert checkpoints.best_model_score is not None
    assert checkpoints.best_model_score.item() == best


def test_a_moved_run_resumes_with_the_best_checkpoint_of_its_new_folder(tmp_path: Path) -> None:
    old, new = (RunCheckpoints(str(tmp_path / name / "checkpoints")) for name in ("old", "new"))
    run: Any = FakeTrainer()
    run.global_step, run.callback_metrics = 5, {"val/psnr": torch.tensor(30.0)}
    old.on_validation_end(run, MODULE)
    old.on_train_epoch_end(run, MODULE)
    new.load_state_dict(old.state_dict())
    best = str(tmp_path / "new" / "checkpoints" / "best.ckpt")
    assert new.best_model_path == new.kth_best_model_path == best
    assert new.best_k_models == {best: torch.tensor(30.0)}
    assert new.best_model_score == torch.tensor(30.0)
    assert new.last_model_path == ""
    for score, is_best in ((29.0, False), (31.0, True)):
        run.callback_metrics = {"val/psnr": torch.tensor(score)}
        new.on_validation_end(run, MODULE)
        assert new.epoch_is_best == is_best


def test_loggers_are_flushed_before_a_checkpoint(tmp_path: Path) -> None:
    tensorboard = TensorBoardLogger(tmp_path / "tensorboard", name="", version="")
    csv = CSVLogger(tmp_path / "csv", "", "")
    for logger in (tensorboard, csv):
        logger.log_metrics({"lr": 0.5}, 3)
    run: Any = FakeTrainer()
    run.loggers = [tensorboard, csv]
    logged_values: list[float] = []

    def save_checkpoint(path: Path) -> None:
        events = EventAccumulator(str(tmp_path / "tensorboard"))
        events.Reload()
        logged_values.extend(scalar.value for scalar in events.Scalars("lr"))
        logged_values.extend(float(row["lr"]) for row in read_table(tmp_path / "csv" / "metrics.csv"))

    run.save_checkpoint = save_checkpoint
    RunCheckpoints(str(tmp_path / "checkpoints"))._save_last(run, MODULE)
    assert logged_values == [0.5, 0.5]


def test_only_one_previous_checkpoint_is_kept(tmp_path: Path) -> None:
    files = RunFolder(tmp_path)
    for step in range(3):
        for path in (files.last, files.best):
            WholeCheckpointIO().save_checkpoint({"content": f"{path.stem} {step}"}, path)
    assert {path.name: torch.load(path)["content"] for path in files.checkpoints.iterdir()} == {
        "best.ckpt": "best 2",
        "last.ckpt": "last 2",
        "previous.ckpt": "last 1",
    }


def test_with_mode_min_all_outputs_are_those_of_the_epoch_with_the_lowest_loss(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    spoil = "+callbacks.spoil={_target_: tests.support.parts.SpoilWeights, epoch: 2}"
    settings = ("data=isr", f"data.root={make_folder(count=10)}", "trainer.max_epochs=4", "optimizer.lr=1e-5", spoil)
    code, text = command(*settings, "monitor=val/loss", "mode=min", "callbacks.samples.side=32")
    assert code == 0, text
    files = RunFolder(tmp_path / "run")
    losses = [float(row["val/loss"]) for row in read_table(files.metrics)]
    best = losses.index(min(losses))
    assert best < 2  # the weights are spoilt from epoch 2 on
    assert torch.load(files.best, weights_only=True)["epoch"] == best
    assert {row["epoch"] for row in read_table(files.images)} == {str(best + 1)}  # counted from 1
    result = result_of(tmp_path / "run")
    assert result["monitor"] == {"name": "val/loss", "value": pytest.approx(losses[best])}
    psnr = float(read_table(files.metrics)[best]["val/psnr"])
    assert result["scores"]["val"]["psnr"]["mean"] == pytest.approx(psnr, abs=1e-4)
    assert files.samples.stat().st_mtime < files.last.stat().st_mtime
