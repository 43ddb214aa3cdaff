"""An early end for runs whose loss or gradient is no longer finite."""

from collections import deque
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from sr.errors import DivergedError


class DivergenceGuard(Callback):
    """Ends a run whose loss or gradient is no longer finite, on the CPU before the step is taken, on a GPU soon after.

    A checkpoint written before stays.
    """

    def __init__(self) -> None:
        """Watch from the first step."""
        self._pending: deque[tuple[int, str, Tensor, torch.cuda.Event | None]] = deque()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Look at the gradient, as it is before clipping.

        Raises:
            DivergedError: with step, learning rate and gradient norm.
        """
        if getattr(trainer.precision_plugin, "scaler", None) is None:  # float16's scaler skips such steps by itself
            self._watch(trainer, pl_module, "gradient", _gradient_norm(pl_module), trainer.global_step + 1)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look at the loss.

        Raises:
            DivergedError: with step, learning rate and gradient norm.
        """
        self._watch(trainer, pl_module, "loss", outputs["loss"].detach(), trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the rest."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        self._check(trainer, pl_module)

    def _watch(self, trainer: Trainer, pl_module: LightningModule, what: str, value: Tensor, step: int) -> None:
        """Look at what has arrived, without making the device wait."""
        value = value.to("cpu", non_blocking=True)
        event = None
        if pl_module.device.type == "cuda":
            event = torch.cuda.Event()
            event.record()
        self._pending.append((step, what, value, event))
        self._check(trainer, pl_module)

    def _check(self, trainer: Trainer, pl_module: LightningModule) -> None:
        while self._pending and (self._pending[0][3] is None or self._pending[0][3].query()):
            step, what, value, _ = self._pending.popleft()
            if not value.isfinite():
                rate = trainer.optimizers[0].param_groups[0]["lr"]
                raise DivergedError(
                    f"the {what} is not finite at step {step} (learning rate {rate:.3g}, gradient norm "
                    f"{float(_gradient_norm(pl_module)):.3g}): lower optimizer.lr, or set trainer.gradient_clip_val=1"
                )


def _gradient_norm(module: torch.nn.Module) -> Tensor:
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return torch.stack(torch._foreach_norm(gradients)).norm() if gradients else torch.zeros(())
