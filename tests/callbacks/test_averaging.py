from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import LightningModule
from torch import nn

from sr.callbacks.averaging import MovingAverage
from tests.support.runs import Command, MakeFolder, StopAt


def test_the_decay_of_the_average_rises_to_its_limit() -> None:
    average = MovingAverage(decay=0.5)._kwargs["multi_avg_fn"]
    averages = [torch.tensor([0.0, 4.0]), torch.tensor(8.0)]
    average(averages, [torch.tensor([1.0, 4.0]), torch.tensor(0.0)], torch.tensor(1))  # decay (1 + 1) / (10 + 1)
    assert averages[0].tolist() == pytest.approx([9 / 11, 4])
    assert averages[1].item() == pytest.approx(8 * 2 / 11)
    average(averages, [torch.tensor([0.0, 4.0]), torch.tensor(0.0)], torch.tensor(1000))  # decay 0.5
    assert averages[0].tolist() == pytest.approx([9 / 22, 4])
    assert averages[1].item() == pytest.approx(8 / 11)


@pytest.mark.parametrize(("steps", "decay"), [(0, 1 / 10), (7, 8 / 17), (8, 0.5), (9, 0.5)])
def test_the_decay_follows_its_formula_until_the_limit(steps: int, decay: float) -> None:
    average = MovingAverage(decay=0.5)._kwargs["multi_avg_fn"]
    averages = [torch.tensor(1.0)]
    average(averages, [torch.tensor(0.0)], steps)
    assert averages[0].item() == pytest.approx(decay)


def test_the_limit_is_0_999_unless_set() -> None:
    averages = [torch.tensor(1.0, dtype=torch.float64)]
    MovingAverage()._kwargs["multi_avg_fn"](averages, [torch.tensor(0.0, dtype=torch.float64)], 10**6)
    assert averages[0].item() == pytest.approx(0.999, abs=1e-12)


def test_weights_are_averaged_and_buffers_are_copied() -> None:
    net, module = nn.BatchNorm1d(2), LightningModule()
    module.net = net
    callback = MovingAverage(decay=0.5)
    trainer: Any = SimpleNamespace()
    callback.setup(trainer, module, "fit")
    averaged = callback._average_model
    assert averaged is not None
    for value in (1.0, 3.0, 5.0):
        net.weight.data.fill_(value)
        net.get_buffer("running_mean").fill_(value)
        averaged.update_parameters(module)
    expected = 1.0  # the first update copies
    for step, value in ((1, 3.0), (2, 5.0)):
        decay = (1 + step) / (10 + step)
        expected = decay * expected + (1 - decay) * value
    assert averaged.module.get_parameter("net.weight").tolist() == pytest.approx([expected] * 2)
    assert averaged.module.get_buffer("net.running_mean").tolist() == [5.0, 5.0]


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
