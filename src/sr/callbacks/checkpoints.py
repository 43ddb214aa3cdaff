"""Checkpoints of a run, written whole, at every epoch and when a run is interrupted."""

import io
import logging
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from sr.callbacks.agreement import any_process, is_due
from sr.errors import UserError, check_choice
from sr.io.atomic import whole_file
from sr.io.run_folder import RunFolder

log = logging.getLogger(__name__)
# What submitit asks Slurm to send when the time of a job is nearly over; Windows has no such signal.
_TIME_IS_OVER = getattr(signal, "SIGUSR2", None)


class RunCheckpoints(ModelCheckpoint):
    """``best.ckpt``, ``last.ckpt`` and, before that, ``previous.ckpt``; it alone decides which epoch is the best.

    The last is written at the end of each epoch, every so many minutes inside one, and when a run is interrupted.
    Ctrl-C and SIGTERM take effect at the end of a step, or of the epoch after its last step, where the state is whole
    and the run can be resumed exactly; of several processes one that is told stops all. A second signal acts at once.
    The signal by which submitit learns that the time of a job is over is delayed as well, if submitit listens: it gets
    the signal once the checkpoint is written, and queues the job again.
    """

    def __init__(self, dirpath: str, monitor: str = "val/psnr", mode: str = "max", minutes: float = 10.0) -> None:
        """Keep the checkpoint with the best ``monitor`` in the folder ``dirpath``, and one every ``minutes``.

        Raises:
            UserError: for a negative number of minutes, and for a mode other than max and min.
        """
        if minutes < 0:
            raise UserError(f"callbacks.checkpoints.minutes must be 0 or more, got {minutes}")
        check_choice("mode", mode, ("max", "min"))
        super().__init__(
            dirpath,
            filename=RunFolder(Path()).best.stem,
            monitor=monitor,
            mode=mode,
            save_last=False,  # Lightning would write it only together with a better best.ckpt
            save_on_train_epoch_end=True,  # after the other callbacks have closed the epoch
            enable_version_counter=False,  # best.ckpt is replaced, never best-v1.ckpt beside it
        )
        self.epoch_is_best = False
        self._seconds = 60 * minutes
        self._saved_at = 0.0
        self._received_signal: int | None = None
        self._state_is_whole = False
        self._previous_handlers: dict[int, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals."""
        self._saved_at = time.monotonic()
        if threading.current_thread() is not threading.main_thread():
            return  # signals reach the main thread only
        numbers = [signal.SIGINT, signal.SIGTERM]
        if _TIME_IS_OVER is not None and callable(signal.getsignal(_TIME_IS_OVER)):
            numbers.append(_TIME_IS_OVER)
        self._previous_handlers = {number: signal.signal(number, self._delay) for number in numbers}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take them from Lightning, whose handler of SIGTERM asks the other processes at any moment."""
        super().on_train_start(trainer, pl_module)
        for number in self._previous_handlers:
            signal.signal(number, self._delay)

    def _delay(self, number: int, frame: FrameType | None) -> None:
        if self._received_signal is not None:
            raise _exception_of(number)
        self._received_signal = number
        log.warning("stopping after this step, or after validation; a second signal stops at once")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Without a validation an epoch is not the best."""
        self.epoch_is_best = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decide whether this epoch is the best so far; a score that is not a number never is."""
        score = trainer.callback_metrics.get(str(self.monitor))
        if score is not None and not trainer.sanity_checking:
            self.epoch_is_best = not score.isnan() and super().check_monitor_top_k(trainer, score)

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """What `on_validation_end` has decided; Lightning asks when it is to write ``best.ckpt``."""
        return self.epoch_is_best

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save if it is time, and stop here if asked to: this callback is the last to see the step."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._stop_if_orphaned()
        if trainer.is_last_batch or not is_due(trainer):
            return
        if any_process(trainer, self._received_signal is not None):
            self._state_is_whole = True
            raise _exception_of(self._received_signal)
        if any_process(trainer, time.monotonic() - self._saved_at >= self._seconds):
            self._save_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``best.ckpt`` if this epoch is the best, then ``last.ckpt``, which knows of it."""
        super().on_train_epoch_end(trainer, pl_module)
        self._save_last(trainer)
        self._stop_if_orphaned()
        if any_process(trainer, self._received_signal is not None):
            raise _exception_of(self._received_signal)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write ``last.ckpt`` at a clean stop; after anything else the one before stays."""
        if self._state_is_whole:
            self._save_last(trainer)

    def _stop_if_orphaned(self) -> None:
        """End a worker of a parallel sweep whose parent was killed: the sweep may be started again at any moment."""
        parent = multiprocessing.parent_process()
        if parent is not None and os.getppid() != parent.pid:
            self._received_signal = signal.SIGTERM

    def _save_last(self, trainer: Trainer) -> None:
        assert self.dirpath is not None
        for logger in trainer.loggers:  # what the checkpoint has seen has to survive a kill as well
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.flush()
            elif isinstance(logger, CSVLogger):
                logger.save()
        trainer.save_checkpoint(Path(self.dirpath, RunFolder(Path()).last.name))
        self._saved_at = time.monotonic()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume with the best checkpoint of the folder, which may have moved since the state was written."""

        def here(path: str) -> str:
            return str(Path(self.dirpath or "", Path(path).name)) if path else path

        moved = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath})

    def release(self) -> None:
        """Restore the signal handlers; called however the run ended, after Lightning has restored its own."""
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._previous_handlers = {}

    def pass_on(self) -> None:
        """Pass the signal on to submitit; called last, since it ends the process."""
        if self._received_signal is not None and self._received_signal == _TIME_IS_OVER:
            signal.raise_signal(_TIME_IS_OVER)


def _exception_of(number: int | None) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SIGTERMException()


def epoch_is_best(trainer: Trainer) -> bool:
    """Whether the epoch that ends has the best score so far, for callbacks that keep something of that epoch."""
    return any(callback.epoch_is_best for callback in trainer.callbacks if isinstance(callback, RunCheckpoints))  # type: ignore[attr-defined]


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint by rename, and keeps the one before the last: there is always a whole one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write ``checkpoint`` to ``path``."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()  # torch would not pass on why a file could not be written
        torch.save(checkpoint, content)
        files = RunFolder(path.parents[1])
        with whole_file(path, files.previous if path == files.last else None) as file:
            file.write(content.getbuffer())
