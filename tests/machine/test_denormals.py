import subprocess
import sys
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from tests.support.runs import Command, MakeFolder

TINY = 1e-38  # half of it is no normal number in float32


class Halve(Callback):
    """Halves a tiny number in every step, and after it."""

    within: list[float]
    after: list[float]

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: torch.Tensor) -> None:
        self.within.append(float(torch.tensor(TINY) * 0.5))

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.after.append(float(torch.tensor(TINY) * 0.5))


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_numbers_that_slow_a_processor_down_are_zero_in_training_steps_alone(
    is_interrupted: bool, command: Command, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Halve, "within", [], raising=False)
    monkeypatch.setattr(Halve, "after", [], raising=False)
    halve = "+callbacks.halve._target_=tests.machine.test_denormals.Halve"
    options: list[Any] = [f"data.root={make_folder(count=8)}", "data.batch_size=4", "trainer.max_epochs=2", halve]
    if is_interrupted:
        options.append("+callbacks.fail._target_=tests.machine.test_denormals.Fail")
    assert (command("data=isr", *options)[0] == 0) != is_interrupted
    assert set(Halve.within) == {0.0}
    assert all(value > 0 for value in Halve.after)
    assert float(torch.tensor(TINY) * 0.5) > 0


class Fail(Callback):
    """Fails within a step."""

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        raise RuntimeError("on purpose")


def test_torchs_other_threads_count_them_as_zero_as_well() -> None:
    program = (
        "import torch; from sr.machine.denormals import flush_in_torchs_threads; torch.set_num_threads(2); "
        "flush_in_torchs_threads(); many = torch.full((4_000_000,), 1e-38); torch.set_flush_denormal(True); "
        "print(int((many * 0.5 != 0).sum()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
