"""The tables of a run folder: ``metrics.csv`` by epoch, ``images.csv`` and ``test_images.csv`` by image."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from sr.callbacks.checkpoints import epoch_is_best
from sr.io.logs import log_now
from sr.io.run_folder import RunFolder
from sr.io.tables import from_epoch_1, write_table
from sr.terms import Batch, Part, StepOutput

log = logging.getLogger(__name__)


ImageRow: TypeAlias = dict[str, str | float]  # name and group of an image, and each of its scores
_ScoredStep: TypeAlias = tuple[Sequence[str], Sequence[str], Mapping[str, Tensor]]  # names, groups, scores (N,)


class EpochTable(Callback):
    """Write ``metrics.csv`` with a row per epoch, print a summary line, and log the epoch's ``train/loss``."""

    COLUMNS = (
        *("epoch", "step", "seconds", "lr", "train/loss", "train/psnr", "train/ssim", "train/gain"),
        *("val/loss", "val/psnr", "val/ssim", "val/input_psnr", "val/input_ssim", "val/gain"),
    )

    def __init__(self) -> None:
        """Start with no rows; those of a resumed run come from its checkpoint."""
        self.rows: list[dict[str, float]] = []
        self.scored_step: int | None = None  # the last one that was validated; unknown in a run of an older version
        self._validated = False
        self._started = 0.0
        self._loss_sum: Tensor | float = 0.0
        self._loss_count = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, for an epoch that is resumed in the middle."""
        self._started = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the clock and the mean loss."""
        self._started = time.perf_counter()
        self._validated = False
        self._loss_sum, self._loss_count = 0.0, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the loss of the batch, on its device; Lightning's own mean loses what came before an interrupt."""
        count = len(batch["lr"])
        loss = outputs["loss"].detach() * trainer.accumulate_grad_batches  # by which Lightning has divided it
        self._loss_sum = self._loss_sum + loss * count
        self._loss_count += count

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that this epoch has scores."""
        self._validated = True
        self.scored_step = trainer.global_step

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the row of the epoch and write the table."""
        metrics = trainer.callback_metrics
        row: dict[str, float] = {
            "epoch": trainer.current_epoch + 1,  # counted from 1, as in the log; Lightning counts from 0
            "step": trainer.global_step,
            "seconds": round(time.perf_counter() - self._started, 3),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
        }
        known = [*self.COLUMNS[len(row) :], *_more_metrics(metrics, self.COLUMNS)]
        row |= {name: float(metrics[name]) for name in known if name in metrics and self._validated}
        if self._loss_count:
            mean = torch.as_tensor(self._loss_sum, device=pl_module.device) / self._loss_count
            if trainer.world_size > 1:
                mean = trainer.strategy.reduce(mean, reduce_op="mean")
            row["train/loss"] = float(mean)
            log_now(trainer, {"train/loss": row["train/loss"]}, trainer.global_step - 1)
        self.rows.append(row)
        found = dict.fromkeys(name for row in self.rows for name in row)
        columns = (*self.COLUMNS, *_more_metrics(found, self.COLUMNS))
        _write_table(RunFolder(Path(trainer.default_root_dir)).metrics, self.rows, columns)
        if trainer.is_global_zero:
            line = f"epoch {row['epoch']}/{trainer.max_epochs}  {row['seconds']:.1f} s  {_in_words(row)}"
            in_bar = getattr(trainer.progress_bar_callback, "shows_epochs", False)
            log.info(line, extra={"in_bar": in_bar})

    def in_words(self) -> str:
        """The mean loss of the epoch so far, and the scores of the last epoch that has any; as in the log."""
        scored = next((row for row in reversed(self.rows) if "val/psnr" in row), {})
        if self._loss_count:
            return _in_words({**scored, "train/loss": float(self._loss_sum) / self._loss_count})
        return _in_words(self.rows[-1] | scored) if self.rows else ""

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far, and the loss of the unfinished epoch."""
        return {
            "rows": self.rows,
            "scored_step": self.scored_step,
            "loss_sum": float(self._loss_sum),
            "loss_count": self._loss_count,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the rows and the mean loss of the checkpoint."""
        self.rows = from_epoch_1(state_dict["rows"])
        self.scored_step = state_dict.get("scored_step")
        self._loss_sum, self._loss_count = state_dict["loss_sum"], state_dict["loss_count"]


class ImageScores(Callback):
    """Write the scores of each image: ``images.csv`` at the best epoch, ``test_images.csv`` after a test.

    The column ``group`` names the photograph of an image: the tiles, scales and near-identical copies of one photograph
    have the same.
    """

    def __init__(self) -> None:
        """Start with no scores; those of a resumed run come from its checkpoint."""
        self.best: list[ImageRow] = []
        self.test: list[ImageRow] = []
        self._steps: list[_ScoredStep] = []

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Drop the scores of the previous validation."""
        self._steps = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,  # type: ignore[override]
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect the scores of validation images; those of training images are not listed."""
        if outputs["part"] is Part.VAL:
            self._steps.append(_scored_step(outputs, batch))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the table if this epoch is the best so far."""
        steps, self._steps = self._steps, []
        if steps and epoch_is_best(trainer):
            self.best = [{**row, "epoch": trainer.current_epoch + 1} for row in _rows(steps)]
            _write_table(RunFolder(Path(trainer.default_root_dir)).images, self.best)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: StepOutput,  # type: ignore[override]
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect the scores of test images."""
        self._steps.append(_scored_step(outputs, batch))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the test table."""
        self.test, self._steps = self.test + _rows(self._steps), []
        _write_table(RunFolder(Path(trainer.default_root_dir)).test_images, self.test)

    def state_dict(self) -> dict[str, Any]:
        """Return the scores of the best epoch."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the scores of the best epoch."""
        self.best = list(state_dict["best"])


def _scored_step(outputs: StepOutput, batch: Batch) -> _ScoredStep:
    """The scores of a batch; an image whose photograph is not known is one of its own."""
    return outputs["name"], batch.get("group", outputs["name"]), outputs["scores"]


def _rows(steps: Sequence[_ScoredStep]) -> list[ImageRow]:
    """A row for each image, in order; all scores leave their device together, since each transfer waits for it."""
    if not steps:
        return []
    tensors = [values for _, _, scores in steps for values in scores.values()]
    numbers = iter(torch.cat([values.flatten() for values in tensors]).tolist())
    rows: list[ImageRow] = []
    for names, groups, scores in steps:
        columns = {key: list(islice(numbers, len(names))) for key in scores}
        rows += [
            {"name": name, "group": group, **{key: column[position] for key, column in columns.items()}}
            for position, (name, group) in enumerate(zip(names, groups, strict=True))
        ]
    return rows


def _more_metrics(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """Means of metrics besides PSNR and SSIM; of training images without those of the input."""
    kept = ("train/", "val/")
    return [name for name in names if name.startswith(kept) and name not in known and "train/input_" not in name]


def _in_words(row: Mapping[str, float]) -> str:
    """Loss and scores of a row of ``metrics.csv``."""
    scores = f"  val/psnr {row['val/psnr']:.2f} dB  gain {row['val/gain']:+.2f}" if "val/psnr" in row else ""
    return f"train/loss {row.get('train/loss', float('nan')):.3g}{scores}"


_write_table = rank_zero_only(write_table)
