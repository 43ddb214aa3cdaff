from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn

from sr.callbacks.averaging import MovingAverage
from sr.errors import UserError
from tests.support.runs import Command, MakeFolder, StopAt, result_of


class Module(LightningModule):
    """A network with one weight, and a loss whose features are not to be copied."""

    def __init__(self, value: float = 0.0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.net = nn.BatchNorm1d(1, dtype=dtype)
        self.loss = nn.Linear(1000, 1000)
        self.set_weight(value)

    def set_weight(self, value: float) -> None:
        nn.init.constant_(self.net.weight, value)

    @property
    def weight(self) -> float:
        return self.net.weight.item()


def trainer(fn: TrainerFn = TrainerFn.FITTING, step: int = 0) -> Any:
    return SimpleNamespace(state=SimpleNamespace(fn=fn), global_step=step)


def average_of(callback: MovingAverage, module: Module) -> float:
    """The weight that would be validated."""
    callback.on_validation_epoch_start(trainer(), module)
    value = module.weight
    callback.on_validation_epoch_end(trainer(), module)
    return value


def started(module: Module, **options: float) -> MovingAverage:
    callback = MovingAverage(**options)
    callback.on_fit_start(trainer(), module)
    return callback


@pytest.mark.parametrize(("steps", "decay"), [(1, 2 / 11), (7, 8 / 17), (8, 0.5), (9, 0.5)])
def test_the_decay_rises_to_its_limit(steps: int, decay: float) -> None:
    module = Module(1.0)
    callback = started(module, decay=0.5)
    for _ in range(steps):
        callback.update(module)
    module.set_weight(0.0)
    callback.update(module)
    assert average_of(callback, module) == pytest.approx(decay)
    assert module.weight == 0


@pytest.mark.parametrize("decay", [-0.1, 1, 1.5, float("nan")])
def test_a_limit_that_is_no_share_is_refused(decay: float) -> None:
    with pytest.raises(UserError, match=r"callbacks\.ema\.decay must be at least 0 and less than 1"):
        MovingAverage(decay)


def test_the_limit_is_0_999_unless_set() -> None:
    module = Module(1.0)
    callback = started(module)
    for _ in range(9000):
        callback.update(module)
    module.set_weight(0.0)
    callback.update(module)
    assert average_of(callback, module) == pytest.approx(0.999, abs=1e-12)


def test_the_first_weights_are_copied_and_buffers_are_those_of_the_last_step() -> None:
    module = Module(8.0)
    callback = started(module, decay=0.5)
    for step, value in enumerate((1.0, 3.0, 5.0), start=1):
        module.set_weight(value)
        module.net.get_buffer("running_mean").fill_(value)
        callback.on_train_batch_end(trainer(step=step), module, None, {}, 0)
        callback.on_train_batch_end(trainer(step=step), module, None, {}, 0)  # a batch that makes no step
    expected = 1.0
    for number, value in ((1, 3.0), (2, 5.0)):
        decay = (1 + number) / (10 + number)
        expected = decay * expected + (1 - decay) * value
    checkpoint: dict[str, Any] = {"state_dict": dict(module.state_dict())}
    callback.on_save_checkpoint(trainer(), module, checkpoint)
    assert checkpoint["state_dict"]["net.weight"].item() == pytest.approx(expected)
    assert checkpoint["current_model_state"]["net.weight"].item() == 5
    assert checkpoint["state_dict"]["net.running_mean"].item() == 5
    assert checkpoint["averaging_state"]["n_averaged"].item() == 3
    callback.on_train_end(trainer(), module)
    assert module.weight == pytest.approx(expected)


def test_only_the_network_is_averaged_and_no_step_reads_a_value_from_its_device() -> None:
    module = Module(1.0).to("meta")  # where reading a value is an error
    callback = started(module)
    for step in range(1, 4):
        callback.on_train_batch_end(trainer(step=step), module, None, {}, 0)
    assert [average.numel() for average in callback._average] == [1, 1]
    assert {average.device.type for average in callback._average} == {"meta"}


def test_a_test_scores_the_average_and_training_resumes_from_the_weights() -> None:
    checkpoint = {
        "state_dict": Module(3.0).state_dict(),
        "current_model_state": Module(5.0).state_dict(),
        "averaging_state": {"n_averaged": torch.tensor(1)},
    }
    tested, resumed = Module(3.0), Module(3.0)  # Lightning has loaded them by then
    started(tested).on_load_checkpoint(trainer(TrainerFn.TESTING), tested, checkpoint)
    assert tested.weight == 3
    callback = MovingAverage()
    callback.on_load_checkpoint(trainer(), resumed, checkpoint)
    callback.on_fit_start(trainer(), resumed)
    assert resumed.weight == 5
    assert average_of(callback, resumed) == 3
    callback.update(resumed)
    assert average_of(callback, resumed) == pytest.approx(3 * 2 / 11 + 5 * 9 / 11)


@pytest.mark.slow
def test_the_test_scores_of_a_run_are_those_of_its_averaged_weights(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = [f"data.root={make_folder(count=14)}", "trainer.max_epochs=2", "data.test_share=0.3", "test=true"]
    assert command("data=isr", "callbacks=ema", *settings)[0] == 0
    averaged = result_of(tmp_path / "run")["scores"]["test"]["psnr"]["mean"]
    options = [f"init={tmp_path / 'run'}", "trainer.max_epochs=1", "optimizer.lr=1e-30"]  # the same weights, tested
    assert command("data=isr", *settings, *options, folder="again")[0] == 0
    assert result_of(tmp_path / "again")["scores"]["test"]["psnr"]["mean"] == pytest.approx(averaged, abs=1e-5)


@pytest.mark.slow
def test_checkpoints_hold_the_average_and_an_interrupted_run_resumes_bit_for_bit(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=14)}", "trainer.max_epochs=3", "callbacks=ema"]
    stop = ["+callbacks.stop={_target_: tests.support.runs.StopAt, step: 5}"]
    never = ["+callbacks.stop={_target_: tests.support.runs.StopAt, step: -1}"]
    assert command(*settings, *never, folder="uninterrupted")[0] == 0
    assert command(*settings, *stop, interrupted=True)[0] == 130
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*settings, *stop)
    assert code == 0, text
    uninterrupted, resumed = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("uninterrupted", "run")
    )
    for part in ("state_dict", "current_model_state"):
        assert all(torch.equal(uninterrupted[part][name], resumed[part][name]) for name in uninterrupted[part])
    weight = "net.body.0.weight"
    assert not torch.equal(uninterrupted["state_dict"][weight], uninterrupted["current_model_state"][weight])
