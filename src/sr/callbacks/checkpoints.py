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

from sr.errors import UserError
from sr.io.atomic import whole_file

log = logging.getLogger(__name__)
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
_ASKED_EVERY = 10  # steps between two agreements of several processes on whether to save or to stop
_TIME_IS_OVER = getattr(signal, "SIGUSR2", None)  # what submitit asks Slurm to send; Windows has none


class RunCheckpoints(ModelCheckpoint):
    """``best.ckpt``, ``last.ckpt`` and, before that, ``previous.ckpt``.

    The last is written at the end of each epoch, every so many minutes inside one, and when a run is interrupted.
    Ctrl-C and SIGTERM are held back to the end of a step, or of the epoch after its last step, where the state is whole
    and the run can be continued exactly; of several processes one that is told stops all. A second signal acts at once.
    The signal by which submitit learns that a job's time is over is held back too, if it listens: it gets it once the
    checkpoint is written, and queues the job again.
    """

    def __init__(self, dirpath: str, monitor: str = "val/psnr", mode: str = "max", minutes: float = 10.0) -> None:
        """Keep the checkpoint with the best ``monitor`` in the folder ``dirpath``, and one every ``minutes``.

        Raises:
            UserError: for a negative number of minutes.
        """
        if minutes < 0:
            raise UserError(f"callbacks.checkpoints.minutes must be 0 or more, got {minutes}")
        super().__init__(
            dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=False,  # Lightning would write it only together with a better best.ckpt
            save_on_train_epoch_end=True,  # after the other callbacks have closed the epoch
            enable_version_counter=False,  # best.ckpt is replaced, never best-v1.ckpt beside it
        )
        self._seconds = 60 * minutes
        self._saved = 0.0
        self._received: int | None = None
        self._whole = False
        self._previous: dict[int, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals."""
        self._saved = time.monotonic()
        if threading.current_thread() is not threading.main_thread():
            return  # signals reach the main thread only
        numbers = [signal.SIGINT, signal.SIGTERM]
        if _TIME_IS_OVER is not None and callable(signal.getsignal(_TIME_IS_OVER)):
            numbers.append(_TIME_IS_OVER)
        self._previous = {number: signal.signal(number, self._hold) for number in numbers}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take them from Lightning, whose handler of SIGTERM asks the other processes in the middle of anything."""
        super().on_train_start(trainer, pl_module)
        for number in self._previous:
            signal.signal(number, self._hold)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            raise _exception_of(number)
        self._received = number
        log.warning("stopping after this step, or after validation; a second signal stops at once")

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
        if trainer.is_last_batch or (trainer.world_size > 1 and trainer.global_step % _ASKED_EVERY):
            return
        due = time.monotonic() - self._saved >= self._seconds
        if self._stop_is_agreed(trainer):
            self._whole = True
            raise _exception_of(self._received)
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self._save_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``best.ckpt`` if this epoch is the best, then ``last.ckpt``, which knows of it."""
        super().on_train_epoch_end(trainer, pl_module)
        self._save_last(trainer)
        self._stop_if_orphaned()
        if self._stop_is_agreed(trainer):
            raise _exception_of(self._received)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write ``last.ckpt`` at a clean stop; after anything else the one before stays."""
        if self._whole:
            self._save_last(trainer)

    def _stop_is_agreed(self, trainer: Trainer) -> bool:
        """Whether this process, or another one of the run, was told to stop."""
        return bool(trainer.strategy.reduce_boolean_decision(self._received is not None, all=False))

    def _stop_if_orphaned(self) -> None:
        """End a worker of a parallel sweep whose parent was killed: the sweep may be started again at any moment."""
        parent = multiprocessing.parent_process()
        if parent is not None and os.getppid() != parent.pid:
            self._received = signal.SIGTERM

    def _save_last(self, trainer: Trainer) -> None:
        assert self.dirpath is not None
        for logger in trainer.loggers:  # what it knows of must outlive a kill, too
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.flush()
            elif isinstance(logger, CSVLogger):
                logger.save()
        trainer.save_checkpoint(Path(self.dirpath, LAST))
        self._saved = time.monotonic()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the best checkpoint of the folder, which may have moved since it was written."""

        def here(path: str) -> str:
            return str(Path(self.dirpath or "", Path(path).name)) if path else path

        moved = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath})

    def release(self) -> None:
        """Give the signals back; called however the run ended, after Lightning has restored what it found."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def pass_on(self) -> None:
        """Let submitit have its signal; called last, since it ends the process."""
        if self._received is not None and self._received == _TIME_IS_OVER:
            signal.raise_signal(_TIME_IS_OVER)


def _exception_of(number: int | None) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SIGTERMException()


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint by rename, and keeps the one before the last: there is always a whole one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write ``checkpoint`` to ``path``."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()  # torch does not pass on why a file could not be written
        torch.save(checkpoint, content)
        with whole_file(path, path.with_name(PREVIOUS) if path.name == LAST else None) as file:
            file.write(content.getbuffer())
