"""Sample pictures of validation images: whole images in trackers, crops for the report."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sr.callbacks.checkpoints import epoch_is_best
from sr.errors import check_at_least
from sr.image import preview, resize
from sr.io.run_folder import RunFolder
from sr.io.samples import Crop, Crops, Square, write_samples
from sr.terms import Batch, Part, StepOutput
from sr.trackers.common import Tracker

_LEAST_HEADING = 16  # pixels
_WIDTHS = 6  # an image is that many times as wide as its name is high, so that it can be read when shown small


class SampleGrids(Callback):
    """Show input | output | target | error of the first validation images in trackers."""

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
        boards = [logger for logger in trainer.loggers if isinstance(logger, Tracker)]
        if not boards or outputs["part"] is not Part.VAL or batch_idx >= self.images or not self._is_due(trainer):
            return
        name, gain = batch["name"][0], float(outputs["scores"]["gain"][0])
        grid = sample_grid(batch["lr"][0], outputs["sr"][0], batch["hr"][0], self.error_gain)
        step = trainer.global_step - 1  # the step under which Lightning logs a validation
        for board in boards:
            board.show(f"val/{name}", grid, step)
            board.log_metrics({f"gain/{name}": gain}, step)

    def _is_due(self, trainer: Trainer) -> bool:
        """Whether this validation is one of about ``times`` evenly spaced ones; the first and the last always are."""
        epochs_apart = trainer.check_val_every_n_epoch or 1
        validations = max(1, (trainer.max_epochs or 1) // epochs_apart)
        number = (trainer.current_epoch + 1) // epochs_apart - 1
        return number % max(1, round(validations / self.times)) == 0 or number + 1 == validations


def sample_grid(lr: Tensor, sr: Tensor, hr: Tensor, error_gain: float) -> Tensor:
    """Place input, output, target and error side by side below their names: uint8 ``(3, h + H, 4*W)``.

    ``lr`` ``(C, h, w)`` is enlarged with bicubic; the error is the absolute difference times ``error_gain``.
    """
    enlarged = resize(lr.float()[None], hr.shape[-1] / lr.shape[-1])[0]
    error = (sr.float() - hr).abs() * error_gain
    grid = preview(torch.cat([enlarged, sr.float(), hr, error], dim=-1)).cpu()
    return torch.cat([_heading(hr.shape[-1], error_gain), grid], dim=-2)


def _heading(width: int, error_gain: float) -> Tensor:
    """The names of the four images in white on black, each as wide as an image: uint8 ``(3, h, 4*width)``."""
    height = max(_LEAST_HEADING, width // _WIDTHS)
    font = ImageFont.load_default(size=0.7 * height)
    heading = Image.new("RGB", (4 * width, height))
    for number, name in enumerate(("input", "output", "target", f"error x{error_gain:g}")):
        label = Image.new("RGB", (width, height))
        ImageDraw.Draw(label).text((2, height / 2), name, fill="white", font=font, anchor="lm")
        heading.paste(label, (number * width, 0))
    return torch.from_numpy(np.array(heading)).permute(2, 0, 1)


class SampleCrops(Callback):
    """Write ``samples.png`` at the best epoch: a row per validation image, with columns input, output and target.

    Each row shows the square in which the input is worst, so every model shows the same one. Squares, inputs and
    targets are found in the first validation; later ones only cut their outputs, which leave the device together and
    only at the best epoch, since every transfer waits for a GPU.
    """

    def __init__(self, side: int = 96, images: int = 64) -> None:
        """Show squares of ``side`` pixels of the ``images`` images whose input has the lowest PSNR; 0 for none."""
        check_at_least("callbacks: side", side, 1)
        check_at_least("callbacks: images", images, 0)
        self.side, self.images = side, images
        self._shown: dict[str, _Shown] = {}  # by name
        self._left_out: set[str] = set()  # names of images with better inputs
        self._outputs: dict[str, Tensor] = {}  # of this validation, cut out: (3, side, side) of uint8

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the squares of the previous validation."""
        self._outputs = {}

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
        if outputs["part"] is not Part.VAL or self.images == 0:
            return
        for position, name in enumerate(outputs["name"]):
            if name in self._left_out:
                continue
            if name not in self._shown:
                input_psnr = float(outputs["scores"]["input_psnr"][position])
                self._shown[name] = _shown(name, batch["lr"][position], batch["hr"][position], input_psnr, self.side)
            rows, columns = self._shown[name].slices
            self._outputs[name] = preview(outputs["sr"][position][:, rows, columns].float())
        for name in self._in_order()[self.images :]:
            self._left_out.add(name)
            del self._shown[name]
            self._outputs.pop(name, None)

    def _in_order(self) -> list[str]:
        """Names of the shown images, the worst input first."""
        return sorted(self._shown, key=lambda name: (self._shown[name].input_psnr, name))

    @rank_zero_only
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file if this epoch is the best so far."""
        outputs, self._outputs = self._outputs, {}
        names = [name for name in self._in_order() if name in outputs]
        if not names or not epoch_is_best(trainer):
            return
        flat = torch.cat([outputs[name].flatten() for name in names]).cpu()
        parts = flat.split([outputs[name].numel() for name in names])
        rows = []
        for name, part in zip(names, parts, strict=True):
            shown = self._shown[name]
            output = part.view(outputs[name].shape).permute(1, 2, 0).numpy()
            rows.append((shown.square, Crops(shown.source, output, shown.target)))
        write_samples(RunFolder(Path(trainer.default_root_dir)).samples, rows)


@dataclass(frozen=True)
class _Shown:
    """What is known of a validation image before anything is trained."""

    input_psnr: float
    square: Square
    source: Crop
    target: Crop

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the square."""
        top, left, side = self.square.top, self.square.left, self.square.side
        return slice(top, top + side), slice(left, left + side)


def _shown(name: str, lr: Tensor, hr: Tensor, input_psnr: float, side: int) -> _Shown:
    """Find the square of an image, and cut it out of ``lr`` ``(C, h, w)``, enlarged, and of ``hr`` ``(C, H, W)``."""
    enlarged = resize(lr.float(), hr.shape[-1] / lr.shape[-1])
    top, left, side = worst_square(enlarged, hr, side)
    square = (slice(None), slice(top, top + side), slice(left, left + side))
    source, target = (preview(image[square]).permute(1, 2, 0).cpu().numpy() for image in (enlarged, hr))
    return _Shown(input_psnr, Square(name, top, left, side), source, target)


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
