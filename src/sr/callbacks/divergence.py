"""Stop a run whose loss or gradient is no longer finite."""

from collections import deque
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from sr.callbacks.agreement import any_process, is_due
from sr.errors import DivergedError


class DivergenceGuard(Callback):
    """Stop a run whose loss or gradient is no longer finite.

    On a CPU it stops before the optimizer step, on a GPU a little later, when the values have arrived. Several
    processes stop together. Checkpoints written before are kept.
    """

    def __init__(self) -> None:
        """Start with no pending values."""
        self._pending: deque[tuple[int, str, Tensor, torch.cuda.Event | None]] = deque()
        self._error: DivergedError | None = None

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Check the gradient before it is clipped.

        Raises:
            DivergedError: with step, learning rate and gradient norm.
        """
        if getattr(trainer.precision_plugin, "scaler", None) is None:  # float16's scaler skips such steps itself
            self._add(trainer, pl_module, "gradient", _gradient_norm(pl_module), trainer.global_step + 1)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Check the loss.

        Raises:
            DivergedError: with step, learning rate and gradient norm.
        """
        self._add(trainer, pl_module, "loss", outputs["loss"].detach(), trainer.global_step)
        if trainer.world_size > 1 and is_due(trainer):
            self._end_together(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the values still pending at the end of the epoch."""
        self.check_pending(trainer, pl_module)

    def check_pending(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for the values still pending and check them; a collective call, which every process has to make.

        Raises:
            DivergedError: as `on_train_batch_end`.
        """
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self._check(trainer, pl_module)
        if trainer.world_size > 1:
            self._end_together(trainer)

    def _add(self, trainer: Trainer, pl_module: LightningModule, name: str, value: Tensor, step: int) -> None:
        """Queue a value and check those that have arrived, without synchronising the device."""
        value = value.to("cpu", non_blocking=value.is_cuda)  # others have no events that tell when a copy has arrived
        event = None
        if pl_module.device.type == "cuda":
            event = torch.cuda.Event()
            event.record()
        self._pending.append((step, name, value, event))
        self._check(trainer, pl_module)

    def _check(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the values that have arrived; with several processes the error is kept until they agree to stop."""
        while self._pending and (self._pending[0][3] is None or self._pending[0][3].query()):
            step, name, value, _ = self._pending.popleft()
            if not value.isfinite() and self._error is None:
                rate = trainer.optimizers[0].param_groups[0]["lr"]
                self._error = DivergedError(
                    f"the {name} is not finite at step {step} (learning rate {rate:.3g}, gradient norm "
                    f"{float(_gradient_norm(pl_module)):.3g}): lower optimizer.lr, or set trainer.gradient_clip_val=1"
                )
        if self._error is not None and trainer.world_size == 1:
            raise self._error

    def _end_together(self, trainer: Trainer) -> None:
        if any_process(trainer, self._error is not None):
            raise self._error or DivergedError("the loss of another process is not finite")


def check_pending(trainer: Trainer, pl_module: LightningModule) -> None:
    """Let the guards of a run check all losses and gradients so far, before its state is written in mid-epoch."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, DivergenceGuard):
            callback.check_pending(trainer, pl_module)


def _gradient_norm(module: torch.nn.Module) -> Tensor:
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).norm() if gradients else torch.zeros(())
