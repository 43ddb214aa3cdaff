import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr.callbacks.timing import Timing


def test_waiting_and_training_are_told_apart() -> None:
    timing = Timing()
    trainer: Any = SimpleNamespace(world_size=2)
    module: Any = None
    batch = {"lr": torch.zeros(4, 3, 2, 2)}
    timing.on_train_epoch_start(trainer, module)
    for _ in range(3):
        time.sleep(0.01)
        timing.on_train_batch_start(trainer, module, batch, 0)
        time.sleep(0.03)
        timing.on_train_batch_end(trainer, module, None, batch, 0)
    assert timing.images == 24
    assert 0.03 <= timing.wait_seconds < timing.train_seconds - 0.08
    assert timing.wait_share == timing.wait_seconds / timing.train_seconds
    assert timing.images_per_second == 24 / timing.train_seconds


def test_a_continued_run_adds_to_the_clocks_of_the_first() -> None:
    timing = Timing()
    timing.load_state_dict({"train_seconds": 10.0, "wait_seconds": 1.0, "images": 50})
    assert timing.wait_share == pytest.approx(0.1)
    assert timing.images_per_second == 5.0
    assert timing.state_dict() == {"train_seconds": 10.0, "wait_seconds": 1.0, "images": 50}
    assert Timing().images_per_second == Timing().wait_share == 0
