"""What keeps a run's weights safe: checkpoints, clean interrupts, and an early end when training diverges."""

import logging
import signal
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from sr.errors import DivergedError

log = logging.getLogger(__name__)


class RunCheckpoints(ModelCheckpoint):
    """``best.ckpt`` and ``last.ckpt``, written at the end of each epoch, and ``last.ckpt`` at an interrupt.

    Ctrl-C is held back to the end of the running step, where the state is whole; a second one acts at once.
    """

    def __init__(self, dirpath: str, monitor: str = "val/psnr", mode: str = "max") -> None:
        """Keep the checkpoint with the best ``monitor`` in the folder ``dirpath``."""
        super().__init__(
            dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_last=True,
            save_on_train_epoch_end=True,  # after the other callbacks have closed the epoch
            enable_version_counter=False,  # best.ckpt is replaced, never best-v1.ckpt beside it
        )
        self._interrupted = False
        self._previous: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over Ctrl-C; signals reach the main thread only."""
        try:
            self._previous = signal.signal(signal.SIGINT, self._interrupt)
        except ValueError:  # not in the main thread: whoever runs it handles signals
            self._previous = None

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        log.warning("stopping after this step; Ctrl-C again stops at once")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ANN401
        """Stop between two steps."""
        if self._interrupted:
            raise KeyboardInterrupt

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop between two images."""
        if self._interrupted:
            raise KeyboardInterrupt

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write ``last.ckpt`` when the run was interrupted; not when it failed or diverged."""
        if isinstance(exception, KeyboardInterrupt | SIGTERMException) and self.dirpath:
            trainer.save_checkpoint(Path(self.dirpath, f"{self.CHECKPOINT_NAME_LAST}.ckpt"))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give Ctrl-C back."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None


class DivergenceGuard(Callback):
    """Ends a run whose loss is no longer finite, within a step on the CPU and a few on a GPU."""

    def __init__(self) -> None:
        """Watch from the first step."""
        self._pending: deque[tuple[int, Tensor, torch.cuda.Event | None]] = deque()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int  # noqa: ANN401
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
