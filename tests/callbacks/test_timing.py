from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr.callbacks import timing
from sr.callbacks.checkpoints import RunCheckpoints
from sr.callbacks.timing import Timing

MODULE: Any = SimpleNamespace(device=torch.device("cpu"))
ON_GPU: Any = SimpleNamespace(device=torch.device("cuda"))


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


def fake_trainer(world_size: int = 1) -> Any:
    return SimpleNamespace(world_size=world_size, callbacks=[RunCheckpoints("checkpoints")], is_last_batch=False)


def step(
    timing: Timing, clock: Clock, trainer: Any, *, wait: float, work: float, module: Any = MODULE, last: bool = False
) -> None:
    """A step on a batch of 4 images, after waiting for it; both times are in seconds."""
    batch = {"lr": torch.zeros(4, 3, 2, 2)}
    clock.now += wait
    timing.on_train_batch_start(trainer, module, batch, 0)
    clock.now += work
    trainer.is_last_batch = last
    timing.on_train_batch_end(trainer, module, None, batch, 0)


def test_waiting_and_training_are_timed_separately_and_validation_is_not_timed(clock: Clock) -> None:
    timing = Timing()
    trainer = fake_trainer(world_size=2)
    for _ in range(2):
        timing.on_train_epoch_start(trainer, MODULE)
        step(timing, clock, trainer, wait=1.0, work=3.0)
        step(timing, clock, trainer, wait=0.5, work=3.5, last=True)
        clock.now += 60  # a validation
    assert timing.state_dict() == {"train_seconds": 16.0, "wait_seconds": 3.0, "images": 2 * 2 * 4 * 2}
    assert timing.wait_share == 3 / 16
    assert timing.images_per_second == 32 / 16


def test_a_partly_trained_epoch_is_timed_from_the_start_of_training(clock: Clock) -> None:
    timing = Timing()
    timing.load_state_dict({"train_seconds": 10.0, "wait_seconds": 1.0, "images": 50})
    timing.on_train_start(fake_trainer(), MODULE)
    step(timing, clock, fake_trainer(), wait=2.0, work=3.0)
    assert timing.state_dict() == {"train_seconds": 15.0, "wait_seconds": 3.0, "images": 54}


def test_a_validation_within_an_epoch_is_not_timed(clock: Clock) -> None:
    timing, trainer = Timing(), fake_trainer()
    timing.on_train_epoch_start(trainer, MODULE)
    step(timing, clock, trainer, wait=1.0, work=3.0)
    timing.on_validation_start(trainer, MODULE)
    clock.now += 60
    step(timing, clock, trainer, wait=1.0, work=3.0)  # what follows it cannot be told from it
    assert timing.state_dict() == {"train_seconds": 7.0, "wait_seconds": 1.0, "images": 8}


def test_writing_a_checkpoint_is_neither_training_nor_waiting(clock: Clock) -> None:
    timing, trainer = Timing(), fake_trainer()
    timing.on_train_epoch_start(trainer, MODULE)
    step(timing, clock, trainer, wait=1.0, work=3.0)
    clock.now += 20
    trainer.callbacks[0].saving_seconds += 20
    step(timing, clock, trainer, wait=1.0, work=3.0)
    assert timing.state_dict() == {"train_seconds": 8.0, "wait_seconds": 2.0, "images": 8}


class Gpu:
    """A GPU whose work takes ``seconds`` a step, all of it behind the program, on a clock that it shares."""

    def __init__(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.done_at, self.synchronised = clock, clock.now, 0
        monkeypatch.setattr(torch.cuda, "synchronize", self.synchronize)
        monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: Event(self))

    def synchronize(self, device: object = None) -> None:
        self.synchronised += 1
        self.clock.now = max(self.clock.now, self.done_at)

    def work(self, seconds: float) -> None:
        self.done_at = max(self.clock.now, self.done_at) + seconds


class Event:
    """The moment at which a GPU has done what it was given so far."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.at = gpu, 0.0

    def record(self) -> None:
        self.at = max(self.gpu.clock.now, self.gpu.done_at)

    def query(self) -> bool:
        return self.at <= self.gpu.clock.now

    def elapsed_time(self, later: "Event") -> float:
        return 1000 * (later.at - self.at)


def test_the_work_of_a_gpu_is_timed_to_its_end_without_stopping_it_at_every_step(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu, timing, trainer = Gpu(clock, monkeypatch), Timing(), fake_trainer()
    timing.on_train_epoch_start(trainer, ON_GPU)
    for number in range(10):
        clock.now += 0.25 if number else 1.0  # fetching a batch; the GPU has nothing to do only at first
        timing.on_train_batch_start(trainer, ON_GPU, {}, number)
        gpu.work(3.0)
        trainer.is_last_batch = number == 9
        timing.on_train_batch_end(trainer, ON_GPU, None, {"lr": torch.zeros(4, 3, 2, 2)}, number)
    assert timing.state_dict() == {"train_seconds": 31.0, "wait_seconds": 1.0, "images": 40}
    assert gpu.synchronised == 2


def test_the_rates_are_logged_at_the_last_step_of_the_epoch() -> None:
    timing = Timing()
    timing.load_state_dict({"train_seconds": 10.0, "wait_seconds": 1.0, "images": 50})
    logger = Logger()
    trainer: Any = SimpleNamespace(loggers=[logger], current_epoch=2, global_step=30, callbacks=[])
    timing.on_train_epoch_end(trainer, MODULE)
    expected = {"epoch": 2, "time/wait_share": 0.1, "time/images_per_second": 5.0}
    ((rates, step),) = logger.logged
    assert rates == pytest.approx(expected)
    assert step == 29


def test_a_run_without_steps_has_no_rates() -> None:
    assert Timing().images_per_second == Timing().wait_share == 0
