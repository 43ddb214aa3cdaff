"""Checkpoints of a run, written atomically at every epoch and on an interrupt."""

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
from sr.callbacks.divergence import check_pending
from sr.errors import UserError, check_choice
from sr.io.atomic import whole_file
from sr.io.logs import LateLog
from sr.io.run_folder import RunFolder

log = logging.getLogger(__name__)
# The signal that submitit has Slurm send shortly before a job's time limit; Windows has no such signal.
_TIME_LIMIT_SIGNAL = getattr(signal, "SIGUSR2", None)
# On Windows, where it stands for Ctrl-C in a group of processes.
_CTRL_BREAK = [signal.SIGBREAK] if hasattr(signal, "SIGBREAK") else []


class RunCheckpoints(ModelCheckpoint):
    """Write ``best.ckpt`` and ``last.ckpt``, and decide, for all callbacks, which epoch is the best.

    ``last.ckpt`` is written at the end of each epoch, every few minutes within an epoch, and when the run is
    interrupted; the one it replaces stays as ``previous.ckpt``.

    Ctrl-C and SIGTERM take effect at the end of a step (after the last step of an epoch: at the end of the epoch),
    where the state is consistent and the run can be resumed exactly. A signal to any process of the run stops all of
    them. A second signal acts immediately. submitit's time limit signal is delayed in the same way, provided that
    submitit handles it: it is passed on once the checkpoint is written, and submitit requeues the job.
    """

    def __init__(self, dirpath: str, monitor: str = "val/psnr", mode: str = "max", minutes: float = 10.0) -> None:
        """Keep the checkpoint with the best ``monitor`` in ``dirpath``, and save ``last.ckpt`` every ``minutes``.

        Raises:
            UserError: if ``minutes`` is negative, or ``mode`` is neither max nor min.
        """
        if minutes < 0:
            raise UserError(f"callbacks.checkpoints.minutes must be 0 or more, got {minutes}")
        check_choice("mode", mode, ("max", "min"))
        super().__init__(
            dirpath,
            filename=RunFolder(Path()).best.stem,
            monitor=monitor,
            mode=mode,
            save_last=False,  # Lightning would write it only when best.ckpt improves
            save_on_train_epoch_end=True,  # after the other callbacks have finished the epoch
            enable_version_counter=False,  # replace best.ckpt instead of adding best-v1.ckpt
        )
        self.epoch_is_best = False
        self.saving_seconds = 0.0  # that this process has spent on checkpoints within epochs
        self._seconds = 60 * minutes
        self._saved_at = 0.0
        self._received_signal: int | None = None
        self._stopped_cleanly = False
        self._previous_handlers: dict[int, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the signal handlers."""
        self._saved_at = time.monotonic()
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread can set handlers
        numbers = [signal.SIGINT, signal.SIGTERM, *_CTRL_BREAK]
        if _TIME_LIMIT_SIGNAL is not None and callable(signal.getsignal(_TIME_LIMIT_SIGNAL)):
            numbers.append(_TIME_LIMIT_SIGNAL)
        self._previous_handlers = {number: signal.signal(number, self._delay) for number in numbers}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install them again over Lightning's, whose SIGTERM handler starts a collective call in mid-step."""
        super().on_train_start(trainer, pl_module)
        for number in self._previous_handlers:
            signal.signal(number, self._delay)

    def _delay(self, number: int, frame: FrameType | None) -> None:
        if self._received_signal is not None:
            raise _exception_of(number)
        self._received_signal = number
        text = "stopping after this step, or after validation; a second signal stops at once"
        log.warning(text, extra={"in_state": True})

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the decision: an epoch without validation is not the best."""
        self.epoch_is_best = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decide whether this epoch is the best so far; one with a NaN score never is."""
        score = trainer.callback_metrics.get(str(self.monitor))
        if score is not None and not trainer.sanity_checking:
            self.epoch_is_best = not score.isnan() and super().check_monitor_top_k(trainer, score)

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Answer Lightning's question whether to write ``best.ckpt`` with the decision of `on_validation_end`."""
        return self.epoch_is_best

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save when due and stop if signalled; this callback runs last, so the step is complete."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._stop_if_orphaned()
        if trainer.is_last_batch or not is_due(trainer):
            return
        if any_process(trainer, self._received_signal is not None):
            check_pending(trainer, pl_module)
            self._stopped_cleanly = True
            raise _exception_of(self._received_signal)
        if any_process(trainer, time.monotonic() - self._saved_at >= self._seconds):
            if pl_module.device.type == "cuda":  # the work before is that of steps
                torch.cuda.synchronize(pl_module.device)
            check_pending(trainer, pl_module)
            begun = time.perf_counter()
            self._save_last(trainer, pl_module)
            self.saving_seconds += time.perf_counter() - begun

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``best.ckpt`` if this epoch is the best, then ``last.ckpt``, whose state refers to it."""
        super().on_train_epoch_end(trainer, pl_module)
        self._save_last(trainer, pl_module)
        self._stop_if_orphaned()
        if any_process(trainer, self._received_signal is not None):
            raise _exception_of(self._received_signal)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write ``last.ckpt`` if the run was stopped by a signal; after an error keep the one written before."""
        if self._stopped_cleanly:
            self._save_last(trainer, pl_module)

    def _stop_if_orphaned(self) -> None:
        """Stop a worker of a parallel sweep whose parent was killed, since the sweep may be restarted at any time."""
        parent = multiprocessing.parent_process()
        if parent is not None and os.getppid() != parent.pid:
            self._received_signal = signal.SIGTERM

    def _save_last(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert self.dirpath is not None
        late_log = getattr(pl_module, "late_log", None)
        if isinstance(late_log, LateLog):
            late_log.log_arrived(trainer, wait=True)
        for logger in trainer.loggers:  # what was logged before the checkpoint has to survive a kill too
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.flush()
            elif isinstance(logger, CSVLogger):
                logger.save()
        trainer.save_checkpoint(Path(self.dirpath, RunFolder(Path()).last.name))
        self._saved_at = time.monotonic()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume with the best checkpoint, also if the run folder was moved after the state was saved."""

        def in_folder(path: str) -> str:
            return str(Path(self.dirpath or "", Path(path).name)) if path else path

        moved = {
            name: in_folder(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")
        }
        best = {in_folder(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": best, "dirpath": self.dirpath})

    def release(self) -> None:
        """Restore the signal handlers; called after every run, once Lightning has restored its own."""
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._previous_handlers = {}

    def pass_on(self) -> None:
        """Pass the time limit signal on to submitit; called last, since that ends the process."""
        if self._received_signal is not None and self._received_signal == _TIME_LIMIT_SIGNAL:
            signal.raise_signal(_TIME_LIMIT_SIGNAL)


def _exception_of(number: int | None) -> BaseException:
    return KeyboardInterrupt() if number in (signal.SIGINT, *_CTRL_BREAK) else SIGTERMException()


def epoch_is_best(trainer: Trainer) -> bool:
    """Whether the current epoch has the best score so far, for callbacks that save something of the best epoch."""
    return any(callback.epoch_is_best for callback in _checkpoints_of(trainer))


def seconds_saving(trainer: Trainer) -> float:
    """Seconds that were spent on checkpoints within epochs."""
    return sum(callback.saving_seconds for callback in _checkpoints_of(trainer))


def _checkpoints_of(trainer: Trainer) -> list[RunCheckpoints]:
    return [callback for callback in trainer.callbacks if isinstance(callback, RunCheckpoints)]  # type: ignore[attr-defined]


class WholeCheckpointIO(TorchCheckpointIO):
    """Write checkpoints by renaming a complete file, so that a valid last or previous one always exists."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write ``checkpoint`` to ``path``."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()  # torch.save to a path hides why writing failed
        torch.save(checkpoint, content)
        files = RunFolder(path.parents[1])
        with whole_file(path, files.previous if path == files.last else None) as file:
            file.write(content.getbuffer())
