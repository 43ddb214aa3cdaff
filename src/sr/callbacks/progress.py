"""The progress bar of a training, for terminals."""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from sr.callbacks.tables import EpochTable

_SECONDS_APART = 0.5  # between two looks at the loss: on a GPU each waits for the device


class RunProgress(ProgressBar):
    """Draw one bar for all epochs, with the loss of this epoch, the last scores and the time left.

    The scores and the loss are those of `EpochTable`.
    """

    shows_epochs = True  # so that the console leaves out the lines of `EpochTable`

    def __init__(self) -> None:
        """Start without a bar."""
        super().__init__()
        self._is_enabled = True
        self._bar: Progress | None = None
        self._started = self._looked = 0.0
        self._done_before = 0

    def enable(self) -> None:
        """Draw from now on."""
        self._is_enabled = True

    def disable(self) -> None:
        """Draw nothing: Lightning calls this in all processes but the first."""
        self._is_enabled = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the bar; that of a resumed run begins where it was interrupted."""
        self._done_before = trainer.global_step
        self._start(int(trainer.estimated_stepping_batches), self._done_before)
        self._draw(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, from time to time."""
        if time.monotonic() - self._looked > _SECONDS_APART:
            self._draw(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say that the images are scored, which may take a while."""
        self._draw(trainer, "validating")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the scores of the epoch."""
        self._draw(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the bar on the screen, with the time that the training took."""
        self._draw(trainer, time_text=_clock(time.monotonic() - self._started))
        self._stop()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a bar for the test images."""
        self._start(int(sum(trainer.num_test_batches)), 0, is_transient=True)
        self._update(0, "test images")

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Move the bar of the test images."""
        self._update(batch_idx + 1, "test images")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the bar of the test images."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the cursor back."""
        self._stop()

    def _start(self, total: int, done: int, *, is_transient: bool = False) -> None:
        self._started = self._looked = time.monotonic()
        if self._is_enabled:
            columns = ("{task.description}", "{task.fields[scores]}", "{task.fields[time]}")
            text, scores, left = (TextColumn(column, markup=False) for column in columns)
            self._bar = Progress(text, BarColumn(bar_width=10), scores, left, console=Console(), transient=is_transient)
            self._bar.add_task("", total=total, completed=done, scores="", time="")
            self._bar.start()

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _draw(self, trainer: Trainer, state: str = "", time_text: str = "") -> None:
        if self._bar is None:
            return
        self._looked = time.monotonic()
        table = next((callback for callback in trainer.callbacks if isinstance(callback, EpochTable)), None)  # type: ignore[attr-defined]
        done, total = trainer.global_step, int(trainer.estimated_stepping_batches)
        epoch = min(trainer.current_epoch + 1, trainer.max_epochs or 1)
        left = _seconds_left(self._looked - self._started, done - self._done_before, total - done)
        time_text = time_text or (f"{_clock(left)} left" if left is not None else "")
        description = f"epoch {epoch}/{trainer.max_epochs}{f' {state}' if state else ''}"
        scores = table.in_words().removeprefix("train/") if table else ""  # all fits into 80 columns
        self._update(done, description, scores, time_text)

    def _update(self, done: int, description: str, scores: str = "", time_text: str = "") -> None:
        if self._bar:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=done, description=description, scores=scores, time=time_text)


def _seconds_left(seconds: float, done: int, left: int) -> float | None:
    """Seconds that the remaining steps will take, as those that are done have; None before the first.

    >>> _seconds_left(60.0, 20, 10), _seconds_left(60.0, 0, 10)
    (30.0, None)
    """
    return seconds / done * left if done > 0 else None


def _clock(seconds: float) -> str:
    """Seconds as on a clock.

    >>> _clock(59.6), _clock(3725)
    ('1:00', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
