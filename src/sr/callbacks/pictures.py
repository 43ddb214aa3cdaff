"""Sample pictures of validation images: whole images in TensorBoard and other trackers, crops for the report."""

from pathlib import Path

import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from sr.callbacks.checkpoints import epoch_is_best
from sr.errors import check_at_least
from sr.image import preview, resize
from sr.io.run_folder import RunFolder
from sr.io.samples import Crops, Square, write_samples
from sr.terms import Batch, Part, StepOutput
from sr.trackers.common import Tracker


class SampleGrids(Callback):
    """Show input | output | target | error of the first validation images in TensorBoard and other trackers."""

    def __init__(self, images: int = 4, times: int = 20, error_gain: float = 4.0) -> None:
        """Show the first ``images`` images at about ``times`` validations; errors are amplified by ``error_gain``."""
        self.images, self.times, self.error_gain = images, times, error_gain

    @rank_zero_only
    def on_validation_batch_end(  # type: ignore[override]
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the picture and the gain of an image, if this validation is due."""
        boards = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger | Tracker)]
        if not boards or outputs["part"] is not Part.VAL or batch_idx >= self.images or not self._is_due(trainer):
            return
        name, gain = batch["name"][0], float(outputs["scores"]["gain"][0])
        grid = sample_grid(batch["lr"][0], outputs["sr"][0], batch["hr"][0], self.error_gain).cpu()
        step = trainer.global_step - 1  # the step under which Lightning logs a validation
        for board in boards:
            if isinstance(board, Tracker):
                board.show(f"val/{name}", grid, step)
            elif isinstance(board, TensorBoardLogger):
                board.experiment.add_image(f"val/{name}", grid, step)
            board.log_metrics({f"gain/{name}": gain}, step)

    def _is_due(self, trainer: Trainer) -> bool:
        """Whether this validation is one of about ``times`` evenly spaced ones; the first and the last always are."""
        epochs_apart = trainer.check_val_every_n_epoch or 1
        validations = max(1, (trainer.max_epochs or 1) // epochs_apart)
        number = (trainer.current_epoch + 1) // epochs_apart - 1
        return number % max(1, round(validations / self.times)) == 0 or number + 1 == validations


def sample_grid(lr: Tensor, sr: Tensor, hr: Tensor, error_gain: float) -> Tensor:
    """Place input, output, target and error side by side: uint8 ``(3, H, 4*W)``.

    ``lr`` ``(C, h, w)`` is enlarged with bicubic; the error is the absolute difference times ``error_gain``.
    """
    enlarged = resize(lr.float()[None], hr.shape[-1] / lr.shape[-1])[0]
    error = (sr.float() - hr).abs() * error_gain
    return preview(torch.cat([enlarged, sr.float(), hr, error], dim=-1))


class SampleCrops(Callback):
    """Write ``samples.png`` at the best epoch: a row per validation image, with columns input, output and target.

    Each row shows the square in which the input is worst, so every model shows the same one.
    """

    def __init__(self, side: int = 96, images: int = 64) -> None:
        """Show squares of ``side`` pixels of the ``images`` images whose input has the lowest PSNR; 0 for none."""
        check_at_least("callbacks: side", side, 1)
        check_at_least("callbacks: images", images, 0)
        self.side, self.images = side, images
        self._rows: list[tuple[float, Square, Crops]] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the squares of the previous validation."""
        self._rows = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,  # type: ignore[override]
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Crop the square of each validation image, and keep the images whose input is worst."""
        if outputs["part"] is not Part.VAL:
            return
        for position, name in enumerate(outputs["name"]):
            hr = batch["hr"][position]
            enlarged = resize(batch["lr"][position].float(), hr.shape[-1] / batch["lr"].shape[-1])
            top, left, side = worst_square(enlarged, hr, self.side)
            square = (slice(None), slice(top, top + side), slice(left, left + side))
            images = (enlarged, outputs["sr"][position].float(), hr)
            crops = Crops(*(preview(image[square]).permute(1, 2, 0).cpu().numpy() for image in images))
            input_psnr = float(outputs["scores"]["input_psnr"][position])
            self._rows.append((input_psnr, Square(name, top, left, side), crops))
        self._rows = sorted(self._rows, key=lambda row: (row[0], row[1].name))[: self.images]

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file if this epoch is the best so far."""
        rows, self._rows = self._rows, []
        if rows and epoch_is_best(trainer):
            write_samples(RunFolder(Path(trainer.default_root_dir)).samples, [row[1:] for row in rows])


def worst_square(enlarged: Tensor, hr: Tensor, side: int) -> tuple[int, int, int]:
    """Find the square in which the input has the largest squared error, as (top, left, side).

    Both images are ``(C, H, W)``. A ``side`` larger than the image is reduced to it; positions are an eighth of the
    side apart.
    """
    side = min(side, *hr.shape[-2:])
    error = (enlarged - hr).square().mean(0, keepdim=True)
    step = max(1, side // 8)
    means = F.avg_pool2d(error, side, step)
    row, column = divmod(int(means.argmax()), means.shape[-1])
    return row * step, column * step, side
