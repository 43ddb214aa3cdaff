"""What the tests on a GPU share."""

import json
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

DEVICE = "cuda"
ON_GPU = ("trainer.accelerator=gpu", "logger=csv", "data=isr")
_USUAL = 2  # batches before all memory is allocated and all algorithms are chosen


class ForbidWaiting(Callback):
    """Makes whatever waits for the GPU an error, from the third step of a run to the last but one of an epoch."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step >= _USUAL:
            torch.cuda.set_sync_debug_mode("error")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx + 2 >= trainer.num_training_batches:  # the end of an epoch reads what it has measured
            torch.cuda.set_sync_debug_mode("default")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        torch.cuda.set_sync_debug_mode("default")


def copies_of(profiler: torch.profiler.profile) -> list[str]:
    """The copies between memories that it saw, such as ``Memcpy HtoD (Pageable -> Device)``."""
    return [event.name for event in profiler.events() or () if event.name.startswith("Memcpy")]


class RecordCopies(Callback):
    """Writes the copies between memories, from the third step of a run to the last but one of its first epoch."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._profiler: torch.profiler.profile | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == _USUAL:
            self._profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
            self._profiler.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._profiler and batch_idx + 2 >= trainer.num_training_batches:
            torch.cuda.synchronize()
            self._profiler.stop()
            self.path.write_text(json.dumps(copies_of(self._profiler)))
            self._profiler = None


class SlowSteps(Callback):
    """Gives the GPU work that takes a while in every step, behind the program."""

    def __init__(self, cycles: int) -> None:
        self.cycles = cycles

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        torch.cuda._sleep(self.cycles)
