from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr.callbacks import timing
from sr.callbacks.timing import Timing

MODULE: Any = None


class Clock:
    """A clock that shows the time it was set to."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


class Logger:
    """Remembers what was logged."""

    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, float], int]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.logged.append((metrics, step))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def step(timing: Timing, clock: Clock, trainer: Any, *, wait: float, work: float) -> None:
    """A step on a batch of 4 images, after waiting for it; both times are in seconds."""
    batch = {"lr": torch.zeros(4, 3, 2, 2)}
    clock.now += wait
    timing.on_train_batch_start(trainer, MODULE, batch, 0)
    clock.now += work
    timing.on_train_batch_end(trainer, MODULE, None, batch, 0)


def test_waiting_and_training_are_timed_separately_and_validation_is_not_timed(clock: Clock) -> None:
    timing = Timing()
    trainer: Any = SimpleNamespace(world_size=2)
    for _ in range(2):
        timing.on_train_epoch_start(trainer, MODULE)
        step(timing, clock, trainer, wait=1.0, work=3.0)
        step(timing, clock, trainer, wait=0.5, work=3.5)
        clock.now += 60  # a validation
    assert timing.state_dict() == {"train_seconds": 16.0, "wait_seconds": 3.0, "images": 2 * 2 * 4 * 2}
    assert timing.wait_share == 3 / 16
    assert timing.images_per_second == 32 / 16


def test_a_partly_trained_epoch_is_timed_from_the_start_of_training(clock: Clock) -> None:
    timing = Timing()
    timing.load_state_dict({"train_seconds": 10.0, "wait_seconds": 1.0, "images": 50})
    timing.on_train_start(SimpleNamespace(world_size=1), MODULE)  # type: ignore[arg-type]
    step(timing, clock, SimpleNamespace(world_size=1), wait=2.0, work=3.0)
    assert timing.state_dict() == {"train_seconds": 15.0, "wait_seconds": 3.0, "images": 54}


def test_the_rates_are_logged_at_the_last_step_of_the_epoch() -> None:
    timing = Timing()
    timing.load_state_dict({"train_seconds": 10.0, "wait_seconds": 1.0, "images": 50})
    logger = Logger()
    trainer: Any = SimpleNamespace(loggers=[logger], current_epoch=2, global_step=30)
    timing.on_train_epoch_end(trainer, MODULE)
    expected = {"epoch": 2, "time/wait_share": 0.1, "time/images_per_second": 5.0}
    ((rates, step),) = logger.logged
    assert rates == pytest.approx(expected)
    assert step == 29


def test_a_run_without_steps_has_no_rates() -> None:
    assert Timing().images_per_second == Timing().wait_share == 0
