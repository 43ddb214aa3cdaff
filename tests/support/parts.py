"""User-defined components with faults."""

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn


class BrokenLoss(nn.Module):
    """A loss whose forward has a bug."""

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Raises TypeError."""
        return (sr - hr).square().mean() + "1"  # type: ignore[operator]


class EndAfter(Callback):
    """Ends the training after some epochs, as a limit of time does."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 == self.epoch


class SpoilWeights(Callback):
    """Brightens every output at the start of an epoch, so that an earlier epoch is the best."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            with torch.no_grad():
                pl_module.get_parameter("net.tail.bias").add_(0.5)
