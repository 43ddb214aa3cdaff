from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from sr.io.logs import LateLog


class Arrival:
    """Stands for a CUDA event: a value of a step arrives when it is told to, or when it is waited for."""

    arrived: bool = False

    def record(self) -> None: ...

    def query(self) -> bool:
        return self.arrived

    def synchronize(self) -> None:
        self.arrived = True


class OnGpu(Tensor):
    """A tensor that says that it lies on a GPU."""

    is_cuda = True


@pytest.fixture
def trainer() -> Any:
    logger = SimpleNamespace(logged=[])
    logger.log_metrics = lambda values, step: logger.logged.append((values, step))
    return SimpleNamespace(loggers=[logger], current_epoch=0)


def test_a_value_on_the_cpu_is_logged_at_once(trainer: Any) -> None:
    LateLog().add(trainer, "loss", torch.tensor(0.5, requires_grad=True), {"lr": 0.1}, 3)
    assert trainer.loggers[0].logged == [({"epoch": 0, "lr": 0.1, "loss": 0.5}, 3)]


class OnOtherDevice(Tensor):
    """A tensor of a device without events, such as MPS; a copy that is not waited for has not arrived."""

    is_cuda = False

    def to(self, *args: Any, non_blocking: bool = False, **kwargs: Any) -> Tensor:
        return torch.tensor(float("nan")) if non_blocking else torch.tensor(0.5)


def test_a_value_of_a_device_without_events_is_waited_for(trainer: Any) -> None:
    LateLog().add(trainer, "loss", torch.tensor(0.5).as_subclass(OnOtherDevice), {}, 3)
    assert trainer.loggers[0].logged == [({"epoch": 0, "loss": 0.5}, 3)]


def test_values_of_a_gpu_are_logged_in_order_once_they_have_arrived(
    trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Arrival] = []

    def event() -> Arrival:
        events.append(Arrival())
        return events[-1]

    monkeypatch.setattr(torch.cuda, "Event", event)
    late_log, logged = LateLog(), trainer.loggers[0].logged
    for step in range(3):
        late_log.add(trainer, "loss", torch.tensor(float(step)).as_subclass(OnGpu), {"lr": 0.1}, step)
    assert logged == []
    trainer.current_epoch = 1
    events[1].arrived = True
    late_log.log_arrived(trainer)
    assert logged == []  # the first is still to come
    events[0].arrived = True
    late_log.log_arrived(trainer)
    assert logged == [({"epoch": 0, "lr": 0.1, "loss": float(step)}, step) for step in range(2)]
    late_log.log_arrived(trainer, wait=True)
    assert [step for _, step in logged] == [0, 1, 2]
    assert events[2].arrived
