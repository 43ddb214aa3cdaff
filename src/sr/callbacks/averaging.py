"""An exponential moving average of the weights."""

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class MovingAverage(WeightAveraging):
    """Validate and save an exponential moving average of the weights instead of the weights themselves.

    The decay rises as ``min(decay, (1 + n) / (10 + n))`` with the number n of steps averaged so far, so that the
    initial weights fade quickly. A checkpoint holds the average as its weights, and separately the weights from which
    training resumes.
    """

    def __init__(self, decay: float = 0.999) -> None:
        """Use at most ``decay``, in [0, 1), as the share of the old average kept at each step."""

        def average(averaged: list[Tensor], current: list[Tensor], steps: Tensor | int) -> None:
            count = int(steps)
            weight = 1 - min(decay, (1 + count) / (10 + count))
            torch._foreach_lerp_(averaged, current, weight)

        super().__init__(use_buffers=False, multi_avg_fn=average)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the step counter on the CPU: it is read at every step, which would synchronise a GPU."""
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()
