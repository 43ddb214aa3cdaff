"""A callback that measures the rate of training steps once they have settled."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer


class SteadyRate(Callback):
    """Write the images per second of the steps after ``first`` up to ``last``; a GPU has finished at both ends.

    The first steps are left out: they compile, choose algorithms and allocate memory.
    """

    def __init__(self, first: int, last: int, path: str) -> None:
        """Write JSON to ``path``: ``images``, ``seconds`` and ``images_per_second``."""
        self.first, self.last, self.path = first, last, Path(path)
        self._begun, self._images = 0.0, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the images of a step, and read the clock at the first and the last."""
        step = trainer.global_step
        if step == self.first:
            self._begun = _clock(pl_module.device)
        elif self.first < step <= self.last:
            self._images += len(batch["lr"])
        if step == self.last:
            seconds = _clock(pl_module.device) - self._begun
            values = {"images": self._images, "seconds": seconds, "images_per_second": self._images / seconds}
            self.path.write_text(json.dumps(values), encoding="utf-8")


def steady(path: Path, last: int, first: int = 1) -> str:
    """The option of a run that measures its rate into ``path``."""
    return (
        f"+callbacks.rate={{_target_: scripts.bench.steady.SteadyRate, first: {first}, last: {last}, path: '{path}'}}"
    )


def rate_in(path: Path) -> float:
    """The images per second that a run has measured into ``path``."""
    return float(json.loads(path.read_text(encoding="utf-8"))["images_per_second"])


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
