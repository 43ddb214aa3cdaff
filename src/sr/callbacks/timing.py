"""Training speed, and the time spent waiting for data."""

import time
from collections import deque
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from sr.callbacks.checkpoints import seconds_saving
from sr.io.logs import log_now


class Timing(Callback):
    """Measure training seconds, the share of them spent waiting for data, and images per second.

    Validation and the writing of checkpoints do not count. A GPU works behind the program that starts its work, so the
    clock is read when it has finished: where the steps of an epoch begin, and where they end. In between it is not
    stopped; waiting is then the time in which the GPU has no step to work on.
    """

    def __init__(self) -> None:
        """Start at zero; a resumed run continues the counts of its checkpoint."""
        self.train_seconds = 0.0
        self.wait_seconds = 0.0
        self.images = 0
        self._mark: float | None = None  # up to which time is counted; None: it is not
        self._saving = 0.0  # seconds that checkpoints had taken at the mark
        self._gaps = _Gaps()

    @property
    def wait_share(self) -> float:
        """Share of training time spent between steps, where the next batch is fetched; 0 to 1."""
        return self.wait_seconds / self.train_seconds if self.train_seconds else 0.0

    @property
    def images_per_second(self) -> float:
        """Training examples (crops or whole images) per second of training time."""
        return self.images / self.train_seconds if self.train_seconds else 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start waiting, in an epoch that is resumed in the middle."""
        self._start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start waiting for the first batch."""
        self._start(trainer, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stop waiting."""
        if self._mark is None:  # after a validation within an epoch
            self._start(trainer, pl_module)
        elapsed, saving = self._count(trainer)
        if pl_module.device.type == "cuda":
            self.wait_seconds += self._gaps.end(saving)
        else:
            self.wait_seconds += elapsed

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch and start waiting for the next."""
        self.images += len(batch["lr"]) * trainer.world_size
        if trainer.is_last_batch:
            self._stop(trainer, pl_module)
            return
        self._count(trainer)
        if pl_module.device.type == "cuda":
            self._gaps.begin()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop counting, in a validation within an epoch."""
        self._stop(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the rates."""
        self._stop(trainer, pl_module)  # where the steps were limited
        values = {"time/wait_share": self.wait_share, "time/images_per_second": self.images_per_second}
        log_now(trainer, values, trainer.global_step - 1)

    def state_dict(self) -> dict[str, Any]:
        """Return seconds and images so far."""
        return {"train_seconds": self.train_seconds, "wait_seconds": self.wait_seconds, "images": self.images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the counts of the checkpoint."""
        self.train_seconds, self.wait_seconds = state_dict["train_seconds"], state_dict["wait_seconds"]
        self.images = state_dict["images"]

    def _start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _finish(pl_module)
        self._mark, self._saving = time.perf_counter(), seconds_saving(trainer)
        if pl_module.device.type == "cuda":
            self._gaps.begin()

    def _stop(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._mark is not None:
            _finish(pl_module)
            self._count(trainer)
            self._mark = None
            self.wait_seconds += self._gaps.close()

    def _count(self, trainer: Trainer) -> tuple[float, float]:
        """Add the time since the mark, and move it; returns these seconds, and those of checkpoints left out."""
        assert self._mark is not None
        now, saved = time.perf_counter(), seconds_saving(trainer)
        saving = saved - self._saving
        elapsed = now - self._mark - saving
        self.train_seconds += elapsed
        self._mark, self._saving = now, saved
        return elapsed, saving


class _Gaps:
    """Seconds between the work of two steps on a GPU, read once it has got there."""

    def __init__(self) -> None:
        self._begun: torch.cuda.Event | None = None
        self._pending: deque[tuple[torch.cuda.Event, torch.cuda.Event, float]] = deque()

    def begin(self) -> None:
        """All work of a step has been started."""
        self._begun = _event()

    def end(self, saving: float) -> float:
        """The next step starts, after ``saving`` seconds of checkpoints; returns the gaps that are known by now."""
        assert self._begun is not None
        self._pending.append((self._begun, _event(), saving))
        return self._arrived()

    def close(self) -> float:
        """The gaps that are left, when the GPU has finished."""
        self._begun = None
        return self._arrived()

    def _arrived(self) -> float:
        seconds = 0.0
        while self._pending and self._pending[0][1].query():
            begun, ended, saving = self._pending.popleft()
            seconds += max(0.0, begun.elapsed_time(ended) / 1000 - saving)
        return seconds


def _event() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _finish(pl_module: LightningModule) -> None:
    """Wait for the GPU."""
    if pl_module.device.type == "cuda":
        torch.cuda.synchronize(pl_module.device)
