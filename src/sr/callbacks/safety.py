"""What keeps a run's weights safe: checkpoints, clean interrupts, exact continuation, an early end to divergence."""

import logging
import multiprocessing
import os
import random
import signal
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.environments import SLURMEnvironment
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from sr.errors import DivergedError
from sr.writing import whole_file

log = logging.getLogger(__name__)

_TIME_IS_OVER = getattr(signal, "SIGUSR2", None)  # what submitit asks Slurm to send; Windows has none


class RunCheckpoints(ModelCheckpoint):
    """``best.ckpt`` and ``last.ckpt``, written at the end of each epoch, and ``last.ckpt`` when a run is interrupted.

    Ctrl-C and SIGTERM are held back to the end of a step, or of the epoch after its last step, where the state is whole
    and the run can be continued exactly. A second signal acts at once. The signal by which submitit learns that a job's
    time is over is held back too, if it listens: it gets it once the checkpoint is written, and queues the job again.
    """

    def __init__(self, dirpath: str, monitor: str = "val/psnr", mode: str = "max") -> None:
        """Keep the checkpoint with the best ``monitor`` in the folder ``dirpath``."""
        super().__init__(
            dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=False,  # Lightning would write it only together with a better best.ckpt
            save_on_train_epoch_end=True,  # after the other callbacks have closed the epoch
            enable_version_counter=False,  # best.ckpt is replaced, never best-v1.ckpt beside it
        )
        self._received: int | None = None
        self._whole = False
        self._previous: dict[int, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals; on Slurm and with several processes Lightning keeps SIGTERM."""
        if threading.current_thread() is not threading.main_thread():
            return  # signals reach the main thread only
        shared = SLURMEnvironment.detect() or trainer.world_size > 1
        numbers = [signal.SIGINT] if shared else [signal.SIGINT, signal.SIGTERM]
        if _TIME_IS_OVER is not None and callable(signal.getsignal(_TIME_IS_OVER)):
            numbers.append(_TIME_IS_OVER)
        self._previous = {number: signal.signal(number, self._hold) for number in numbers}

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
        """Stop here if asked to: this callback is the last to see the step."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self._stop_if_orphaned()
        if self._received is not None and not trainer.is_last_batch:
            self._whole = True
            raise _exception_of(self._received)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``best.ckpt`` if this epoch is the best, then ``last.ckpt``, which knows of it."""
        super().on_train_epoch_end(trainer, pl_module)
        self._save_last(trainer)
        self._stop_if_orphaned()
        if self._received is not None:
            raise _exception_of(self._received)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write ``last.ckpt`` at a clean stop; after anything else the one of the last epoch stays."""
        if self._whole:
            self._save_last(trainer)

    def _stop_if_orphaned(self) -> None:
        """End a worker of a parallel sweep whose parent was killed: the sweep may be started again at any moment."""
        parent = multiprocessing.parent_process()
        if parent is not None and os.getppid() != parent.pid:
            self._received = signal.SIGTERM

    def _save_last(self, trainer: Trainer) -> None:
        assert self.dirpath is not None
        trainer.save_checkpoint(Path(self.dirpath, f"{self.CHECKPOINT_NAME_LAST}.ckpt"))

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


def _exception_of(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SIGTERMException()


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint by rename: there is always a whole one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write ``checkpoint`` to ``path``."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            torch.save(checkpoint, file)


class RandomStates(Callback):
    """Keeps the random states in checkpoints, so that dropout in a continued run draws what it would have drawn."""

    def __init__(self) -> None:
        """Nothing to restore yet."""
        self._restored: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the states of Python, numpy and torch as plain values and tensors."""
        numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
        assert isinstance(numpy_state, dict)
        key = numpy_state["state"]["key"].tolist()
        checkpoint["random"] = {
            "python": random.getstate(),
            "numpy": {**numpy_state, "state": {**numpy_state["state"], "key": key}},
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the states: what is set up between now and the first step must not use them up."""
        self._restored = checkpoint.get("random")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Restore the states before the first step."""
        if self._restored is None:
            return
        random.setstate(self._restored["python"])
        state = self._restored["numpy"]
        np.random.set_state({**state, "state": {**state["state"], "key": np.array(state["state"]["key"], np.uint32)}})  # noqa: NPY002
        torch.set_rng_state(self._restored["torch"])
        if len(self._restored["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(self._restored["cuda"])
        self._restored = None


class DivergenceGuard(Callback):
    """Ends a run whose loss is no longer finite, within a step on the CPU and a few on a GPU."""

    def __init__(self) -> None:
        """Watch from the first step."""
        self._pending: deque[tuple[int, Tensor, torch.cuda.Event | None]] = deque()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look at the losses that have arrived, without making the device wait.

        Raises:
            DivergedError: with step, learning rate and gradient norm.
        """
        finite = torch.isfinite(outputs["loss"].detach()).to("cpu", non_blocking=True)
        event = None
        if pl_module.device.type == "cuda":
            event = torch.cuda.Event()
            event.record()
        self._pending.append((trainer.global_step, finite, event))
        self._check(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the rest."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self._check(trainer, pl_module)

    def _check(self, trainer: Trainer, pl_module: LightningModule) -> None:
        while self._pending and (self._pending[0][2] is None or self._pending[0][2].query()):
            step, finite, _ = self._pending.popleft()
            if not finite:
                rate = trainer.optimizers[0].param_groups[0]["lr"]
                raise DivergedError(
                    f"the loss is not finite at step {step} (learning rate {rate:.3g}, gradient norm "
                    f"{_gradient_norm(pl_module.parameters()):.3g}): lower optimizer.lr, or set "
                    f"trainer.gradient_clip_val=1"
                )


def _gradient_norm(parameters: Iterable[torch.nn.Parameter]) -> float:
    norms = [parameter.grad.norm() for parameter in parameters if parameter.grad is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0
