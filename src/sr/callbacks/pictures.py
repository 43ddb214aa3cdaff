"""Sample pictures for TensorBoard."""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from sr.image import quantise, resize


class SampleGrids(Callback):
    """Pictures in TensorBoard: input | output | target | error, for the first validation images."""

    def __init__(self, images: int = 4, times: int = 20, error_gain: float = 4.0) -> None:
        """Show ``images`` pictures about ``times`` times in a run; errors are multiplied by ``error_gain``."""
        self.images, self.times, self.error_gain = images, times, error_gain

    @rank_zero_only
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the picture of an image, in the epochs chosen."""
        board = next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)
        every = max(1, round((trainer.max_epochs or 1) / self.times))
        last = trainer.current_epoch + 1 == trainer.max_epochs
        due = trainer.current_epoch % every == 0 or last
        if board is None or not due or outputs["part"] != "val" or batch_idx >= self.images:
            return
        name, gain = batch["name"][0], float(outputs["scores"]["gain"][0])
        grid = sample_grid(batch["lr"][0], outputs["sr"][0], batch["hr"][0], self.error_gain)
        board.experiment.add_image(f"val/{name}", grid.cpu(), trainer.global_step)
        board.experiment.add_scalar(f"gain/{name}", gain, trainer.global_step)


def sample_grid(lr: Tensor, sr: Tensor, hr: Tensor, error_gain: float) -> Tensor:
    """Place input, output, target and error side by side: ``(3, H, 4*W)`` in [0, 1].

    ``lr`` ``(3, h, w)`` is enlarged by bicubic; the error is ``error_gain`` times the absolute difference.
    """
    enlarged = resize(lr.float()[None], hr.shape[-1] / lr.shape[-1])[0]
    error = (sr.float() - hr).abs() * error_gain
    return quantise(torch.cat([enlarged, sr.float(), hr, error], dim=-1))
