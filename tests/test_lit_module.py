"""The steps and logged values of a run, compared with formulas."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sr import schedules
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.lit_module import LitSR
from sr.metrics import Scorer, score
from sr.terms import Batch, NetworkConfig, Part
from tests.support.runs import Command, MakeFolder

STEPS_AN_EPOCH, EPOCHS = 2, 3


@pytest.fixture
def files(command: Command, make_folder: MakeFolder, tmp_path: Path) -> RunFolder:
    """A run of 7 training images in batches of 4 and 3, with every step logged."""
    code, text = command(
        *("data=isr", f"data.root={make_folder(count=10)}", f"trainer.max_epochs={EPOCHS}", "logger=csv"),
        *("trainer.log_every_n_steps=1", "scheduler.warmup=0.34", "scheduler.final=0.1", "optimizer.lr=1e-3"),
    )
    assert code == 0, text
    return RunFolder(tmp_path / "run")


def test_a_run_steps_its_scheduler_once_per_step_and_records_the_mean_loss_of_each_epoch(files: RunFolder) -> None:
    (table,) = [read_table(path) for path in files.step_tables]
    steps = {int(row["step"]): row for row in table if row["train/loss_step"]}
    total = STEPS_AN_EPOCH * EPOCHS
    assert sorted(steps) == list(range(total))

    rising = round(0.34 * total)
    assert rising == 2
    for step, row in steps.items():
        if step < rising:
            factor = (step + 1) / rising
        else:  # half a cosine from 1 to 0.1 at the last step
            factor = 0.1 + 0.9 * (1 + math.cos(math.pi * (step - rising) / (total - 1 - rising))) / 2
        assert float(row["lr"]) == pytest.approx(1e-3 * factor)

    epochs = read_table(files.metrics)
    assert [row["step"] for row in epochs] == ["2", "4", "6"]
    for epoch, row in enumerate(epochs):
        losses = [float(steps[STEPS_AN_EPOCH * epoch + step]["train/loss_step"]) for step in range(STEPS_AN_EPOCH)]
        assert float(row["train/loss"]) == pytest.approx((4 * losses[0] + 3 * losses[1]) / 7, rel=1e-5)

    best = max(epochs, key=lambda row: float(row["val/psnr"]))
    images = read_table(files.images)
    assert {row["epoch"] for row in images} == {best["epoch"]}
    for name in ("psnr", "ssim", "gain", "input_psnr"):
        mean = sum(float(row[name]) for row in images) / len(images)
        assert float(best[f"val/{name}"]) == pytest.approx(mean, rel=1e-5)
    assert torch.load(files.last, weights_only=True)["global_step"] == total


class Brighter(nn.Module):
    """A network of scale 1 with one weight, which it adds to the image."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(0.25))

    def forward(self, lr: Tensor) -> Tensor:
        return lr + self.shift


class ScaledError(nn.Module):
    """A loss with a parameter, which is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(3.0))

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return self.factor * (sr - hr).abs().mean()


def lit_module(
    config: NetworkConfig | None = None, compile_from: int | None = None, compiled_batch: int | None = None
) -> LitSR:
    optimizer, schedule = partial(torch.optim.SGD, lr=2.0), partial(schedules.cosine, warmup=0.2)
    return LitSR(Brighter(), ScaledError(), optimizer, schedule, Scorer(1), config, compile_from, compiled_batch)


def batch_of(count: int = 2) -> Batch:
    lr = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) / 2
    return {"lr": lr, "hr": lr + 0.5, "name": [f"{number}" for number in range(count)]}


@pytest.mark.parametrize(("loader", "part"), [(0, Part.VAL), (1, Part.TRAIN), (None, Part.TEST)])
def test_a_scored_step_returns_typed_scores_and_logs_their_means(
    loader: int | None, part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, batch = lit_module(), batch_of()
    logged: list[tuple[dict[str, Tensor], dict[str, Any]]] = []
    monkeypatch.setattr(module, "log_dict", lambda values, **options: logged.append((values, options)))
    output = module.test_step(batch, 0) if loader is None else module.validation_step(batch, 0, loader)
    assert (output["part"], output["name"]) == (part, ["0", "1"])
    assert torch.equal(output["sr"], batch["lr"] + 0.25)
    expected = score(output["sr"], batch["hr"])
    baseline = score(batch["lr"], batch["hr"])
    assert torch.equal(output["scores"]["psnr"], expected["psnr"])
    ((values, options),) = logged
    means = {
        "psnr": expected["psnr"],
        "ssim": expected["ssim"],
        "input_psnr": baseline["psnr"],
        "input_ssim": baseline["ssim"],
        "gain": expected["psnr"] - baseline["psnr"],
    }
    for name, scores in means.items():
        assert values[f"{part}/{name}"].item() == pytest.approx(scores.mean().item(), rel=1e-6)
    losses = {} if part is Part.TRAIN else {f"{part}/loss": pytest.approx(3 * 0.25)}
    assert {name: value.item() for name, value in values.items() if name.endswith("loss")} == losses
    assert len(values) == len(means) + len(losses)
    assert options == {"on_step": False, "on_epoch": True, "batch_size": 2, "add_dataloader_idx": False}


def test_gray_files_are_scored_by_their_values_under_y_as_sr_evaluate_does(monkeypatch: pytest.MonkeyPatch) -> None:
    module, batch = lit_module(), batch_of()
    module.scorer = Scorer(1, "y")
    monkeypatch.setattr(module, "log_dict", lambda *args, **options: None)
    for name in ("lr", "hr"):
        batch[name] = batch[name][:, :1].expand(-1, 3, -1, -1)
    scores = module.validation_step({**batch, "border": 1, "stored_gray": True}, 0)["scores"]
    for key, image in (("psnr", batch["lr"] + 0.25), ("input_psnr", batch["lr"])):
        assert torch.equal(scores[key], score(image, batch["hr"], "y", 1, stored_gray=True)["psnr"])
        assert not torch.equal(scores[key], score(image, batch["hr"], "y", 1)["psnr"])


@pytest.mark.parametrize(
    ("log_every", "accumulated", "expected"), [(1, 1, [0, 1, 2, 3]), (2, 1, [1, 3]), (1, 2, [1, 3]), (0, 1, [])]
)
def test_steps_are_logged_at_their_interval_and_only_when_the_optimizer_steps(
    log_every: int, accumulated: int, expected: list[int]
) -> None:
    module, batch = lit_module(), batch_of()
    logger = SimpleNamespace(logged=[])
    logger.log_metrics = lambda metrics, step: logger.logged.append((metrics, step))
    trainer: Any = SimpleNamespace(
        loggers=[logger],
        log_every_n_steps=log_every,
        accumulate_grad_batches=accumulated,
        current_epoch=3,
        global_step=0,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.5}])],
    )
    module._trainer = trainer
    for number in range(4):
        trainer.global_step, trainer.current_epoch = number // accumulated, number
        assert module.training_step(batch, number).item() == pytest.approx(0.75)
    assert [metrics["epoch"] for metrics, _ in logger.logged] == expected  # set to the index of the batch
    for metrics, step in logger.logged:
        assert step == metrics["epoch"] // accumulated
        assert metrics["lr"] == 0.5
        assert metrics["train/loss_step"] == pytest.approx(0.75)


def trainer_with_steps(steps: int) -> Any:
    """A trainer that will take this number of steps."""
    return SimpleNamespace(estimated_stepping_batches=float(steps), fit_loop=SimpleNamespace(_combined_loader=object()))


def test_only_the_network_is_trained_and_its_schedule_covers_all_steps() -> None:
    module = lit_module()
    trainer = module._trainer = trainer_with_steps(10)
    built: Any = module.configure_optimizers()
    (group,) = built["optimizer"].param_groups
    assert [id(parameter) for parameter in group["params"]] == [id(module.net.shift)]
    assert built["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(10):
        rates += built["lr_scheduler"]["scheduler"].get_last_lr()
        built["optimizer"].step()
        built["lr_scheduler"]["scheduler"].step()
    assert rates[:3] == pytest.approx([1.0, 2.0, 2.0])
    assert rates[-1] == pytest.approx(0.02)
    assert trainer.fit_loop._combined_loader is None  # this loader would start at the first batch of the epoch


@pytest.mark.parametrize(("compile_from", "compiles"), [(None, False), (11, False), (10, True)])
def test_long_runs_compile_their_training_steps(
    compile_from: int | None, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Any] = []

    def compile_brighter(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        compiled.append(function)
        return lambda lr: function(lr) + 1

    monkeypatch.setattr(torch, "compile", compile_brighter)
    module = lit_module(compile_from=compile_from)
    module._trainer = trainer_with_steps(10)
    module.configure_optimizers()
    assert compiled == ([module.forward] if compiles else [])
    module._trainer = SimpleNamespace(log_every_n_steps=0, accumulate_grad_batches=1)  # type: ignore[assignment]
    loss = module.training_step(batch_of(), 0).item()
    assert loss == pytest.approx(3 * (0.75 if compiles else 0.25))
    assert torch.equal(module(batch_of()["lr"]), batch_of()["lr"] + 0.25)  # scoring is not compiled


def test_a_batch_of_another_size_is_not_compiled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []

    def compile_function(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def run(lr: Tensor) -> Tensor:
            compiled.append(len(lr))
            return function(lr)

        return run

    monkeypatch.setattr(torch, "compile", compile_function)
    module = lit_module(compile_from=0, compiled_batch=4)
    module._trainer = trainer_with_steps(10)
    module.configure_optimizers()
    module._trainer = SimpleNamespace(log_every_n_steps=0, accumulate_grad_batches=1)  # type: ignore[assignment]
    losses = [module.training_step(batch_of(count), 0).item() for count in (4, 4, 3)]
    assert compiled == [4, 4]
    assert losses == pytest.approx([0.75] * 3)


def test_a_checkpoint_holds_the_config_that_rebuilds_the_network() -> None:
    checkpoint: dict[str, Any] = {"global_step": 5}
    config = NetworkConfig(model={"scale": 1}, scale=1, scales=[1], protocol="y")
    module = lit_module(config)
    module.on_save_checkpoint(checkpoint)
    assert checkpoint["sr"] == {"model": {"scale": 1}, "scale": 1, "scales": [1], "protocol": "y", "steps": 5}
    module.steps_before = 100
    module.on_save_checkpoint(checkpoint)
    assert checkpoint["sr"]["steps"] == 105
    module.steps_before = None  # started from weights of unknown origin
    module.on_save_checkpoint(checkpoint)
    assert checkpoint["sr"]["steps"] is None
    lit_module().on_save_checkpoint(checkpoint)
    assert checkpoint["sr"] == {"steps": 5}
