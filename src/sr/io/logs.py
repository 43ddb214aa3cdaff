"""Log values: without delay, or as soon as they have arrived from a GPU."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from lightning import Trainer
from torch import Tensor


def log_now(trainer: Trainer, values: Mapping[str, float], step: int) -> None:
    """Pass values to the loggers of a trainer immediately.

    Lightning's ``log`` writes them only after the callbacks of a step or an epoch. One of these saves the checkpoint,
    so that a kill between the two would leave a gap in the curves.
    """
    for logger in trainer.loggers:
        logger.log_metrics({"epoch": trainer.current_epoch, **values}, step)


class LateLog:
    """Logs values of a step without waiting for a GPU to compute them; those of a CPU at once."""

    def __init__(self) -> None:
        """Start with nothing to log."""
        self._pending: deque[_Point] = deque()

    def add(self, trainer: Trainer, name: str, value: Tensor, others: Mapping[str, float], step: int) -> None:
        """Log the scalar ``value`` as ``name``, and other values beside it; whatever has arrived before comes first."""
        # Only CUDA has events that tell when a copy has arrived; others, such as MPS, have to wait for it here.
        on_host = value.detach().to("cpu", non_blocking=value.is_cuda)
        event = None
        if value.is_cuda:
            event = torch.cuda.Event()
            event.record()
        self._pending.append(_Point(name, on_host, {"epoch": trainer.current_epoch, **others}, step, event))
        self.log_arrived(trainer)

    def log_arrived(self, trainer: Trainer, *, wait: bool = False) -> None:
        """Log what has arrived; with ``wait`` all of it, as a checkpoint must: what comes before it is not repeated."""
        while self._pending and (wait or self._pending[0].has_arrived):
            point = self._pending.popleft()
            if point.event is not None:
                point.event.synchronize()
            log_now(trainer, {**point.others, point.name: float(point.value)}, point.step)


@dataclass(frozen=True)
class _Point:
    name: str
    value: Tensor
    others: Mapping[str, float]
    step: int
    event: torch.cuda.Event | None

    @property
    def has_arrived(self) -> bool:
        return self.event is None or self.event.query()
