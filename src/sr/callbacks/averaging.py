"""An exponential moving average of the weights."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn

from sr.errors import UserError

_STATE, _CURRENT, _AVERAGING = "state_dict", "current_model_state", "averaging_state"  # keys of a checkpoint
_NET = "net"  # the network's name in the module that is trained


class MovingAverage(Callback):
    """Validate, test and save an exponential moving average of the weights instead of the weights themselves.

    The decay rises as ``min(decay, (1 + n) / (10 + n))`` with the number n of steps averaged so far, so that the
    initial weights fade quickly. A checkpoint holds the average as its weights, and separately the weights from which
    training resumes.

    Only parameters of the network are averaged; its buffers stay what the last step made them. The average lies on the
    device of the network and its steps are counted on the host, so that no step waits for a GPU. (Lightning's
    `WeightAveraging` copies the whole module, VGG's features included, while it is still on the CPU.)
    """

    def __init__(self, decay: float = 0.999) -> None:
        """Use at most ``decay``, in [0, 1), as the share of the old average kept at each step.

        Raises:
            UserError: for another decay.
        """
        if not 0 <= decay < 1:
            raise UserError(f"callbacks.ema.decay must be at least 0 and less than 1, got {decay!r}")
        self._decay = decay
        self._average: list[Tensor] = []  # of the network's parameters, in their order
        self._loaded: Mapping[str, Tensor] | None = None  # the weights of a checkpoint, by name
        self._count = self._latest_step = 0

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Resume from the weights beside the average; a test keeps the average, which is loaded by now."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        self._loaded = checkpoint[_STATE]
        if _CURRENT in checkpoint:
            pl_module.load_state_dict(checkpoint[_CURRENT])
            self._count = int(checkpoint[_AVERAGING]["n_averaged"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy the weights, or those of the checkpoint, on the device that they have been moved to by now."""
        loaded, self._loaded = self._loaded or {}, None
        self._average = [
            loaded.get(f"{_NET}.{name}", parameter).detach().to(parameter.device, copy=True)
            for name, parameter in _net(pl_module).named_parameters()
        ]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Average after each optimizer step, which may take several batches."""
        if trainer.global_step > self._latest_step:
            self._latest_step = trainer.global_step
            self.update(pl_module)

    @torch.no_grad()
    def update(self, pl_module: LightningModule) -> None:
        """Include the present weights; the first ones are copied."""
        weights = [parameter.detach() for parameter in _net(pl_module).parameters()]
        if weights and self._count:
            decay = min(self._decay, (1 + self._count) / (10 + self._count))
            torch._foreach_lerp_(self._average, weights, 1 - decay)
        elif weights:
            torch._foreach_copy_(self._average, weights)
        self._count += 1

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the average in the place of the weights."""
        self._swap(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the weights back."""
        self._swap(pl_module)

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average as the weights of the network."""
        for average, parameter in zip(self._average, _net(pl_module).parameters(), strict=True):
            parameter.copy_(average)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the average as the weights, and the weights beside it."""
        if not self._average:
            return
        net = _net(pl_module)
        by_parameter = dict(zip(net.parameters(), self._average, strict=True))
        named = net.named_parameters(remove_duplicate=False)  # a layer that is used twice has two names
        average = {f"{_NET}.{name}": by_parameter[parameter] for name, parameter in named}
        checkpoint[_CURRENT] = checkpoint[_STATE]
        checkpoint[_STATE] = {**checkpoint[_STATE], **average}
        checkpoint[_AVERAGING] = {"n_averaged": torch.tensor(self._count)}

    def state_dict(self) -> dict[str, Any]:
        """Return the step of the last update."""
        return {"latest_update_step": self._latest_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue after the step of the last update."""
        self._latest_step = state_dict["latest_update_step"]

    @torch.no_grad()
    def _swap(self, pl_module: LightningModule) -> None:
        if self._average:
            for average, parameter in zip(self._average, _net(pl_module).parameters(), strict=True):
                weights = parameter.clone()
                parameter.copy_(average)
                average.copy_(weights)


def _net(pl_module: LightningModule) -> nn.Module:
    return pl_module.get_submodule(_NET)
