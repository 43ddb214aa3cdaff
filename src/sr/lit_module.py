"""LitSR: one network, one loss, one optimizer; it only steps."""

from collections.abc import Callable
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sr.io.logs import log_now
from sr.terms import Batch, Part, StepOutput

# The validation loaders in their order, see `sr.datamodule.ISRDataModule.val_dataloader`.
_PARTS = (Part.VAL, Part.TRAIN)

# Scores worth a curve; those of the other enlargements without a model stay in the image tables.
_LOGGED = ("psnr", "ssim", "input_psnr", "input_ssim", "gain")


class LitSR(LightningModule):
    """Train any network with any loss and any optimizer, scored beside its input.

    Batches are ``lr`` ``(N, 3, h, w)`` and ``hr`` ``(N, 3, scale*h, scale*w)``, float32 in [0, 1], and ``name``.
    It logs ``lr`` and ``train/loss_step``, and at validation ``PART/loss``, ``PART/psnr``, ``PART/ssim``,
    ``PART/input_psnr``, ``PART/input_ssim`` and ``PART/gain`` (dB) as per-image means, PART being val, train (some
    whole training images; their loss is left to the steps) or test.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        scorer: Callable[[Tensor, Tensor, Tensor, list[str]], dict[str, Tensor]],
        config: dict[str, Any] | None = None,
        compile_from: int | None = None,
    ) -> None:
        """Store the network, the loss, the scorer, and what builds the optimizer and its schedule.

        Args:
            net: maps lr to an unclamped image of hr's size.
            loss: compares (sr, hr); its parameters are not trained.
            optimizer: builds the optimizer from the parameters.
            scheduler: builds the schedule from the optimizer and the number of steps of the run.
            scorer: scores (sr, lr, hr, names) under a protocol.
            config: plain values that rebuild the network; every checkpoint carries them.
            compile_from: compile the network's training steps in runs of at least so many; None: never. Scoring, with
                its many sizes, runs uncompiled.
        """
        super().__init__()
        self.net, self.loss, self.scorer = net, loss, scorer
        self._optimizer, self._scheduler = optimizer, scheduler
        self._config = config or {}
        self._compile_from = compile_from
        self._enlarge: Callable[[Tensor], Tensor] = self.forward

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` to ``(N, 3, scale*h, scale*w)``, unclamped."""
        out: Tensor = self.net(lr)
        return out

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss: Tensor = self.loss(self._enlarge(batch["lr"]), batch["hr"])
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        steps = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0
        if every and steps and (self.trainer.global_step + 1) % every == 0:
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
            log_now(self.trainer, {"lr": rate, "train/loss_step": float(loss.detach())}, self.trainer.global_step)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> StepOutput:
        """Score a batch of validation or of training images."""
        return self._score(batch, _PARTS[dataloader_idx])

    def test_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """Score a batch of test images."""
        return self._score(batch, Part.TEST)

    def _score(self, batch: Batch, part: Part) -> StepOutput:
        sr = self.net(batch["lr"])
        scores = self.scorer(sr, batch["lr"], batch["hr"], batch["name"])
        means = {f"{part}/{name}": scores[name].mean().float() for name in _LOGGED}
        if part is not Part.TRAIN:
            means[f"{part}/loss"] = self.loss(sr, batch["hr"])
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=len(sr), add_dataloader_idx=False)
        return {"part": part, "name": batch["name"], "scores": scores, "sr": sr}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer on the network's parameters, and the schedule for the whole run, stepped each step."""
        optimizer = self._optimizer(self.net.parameters())
        total = self.trainer.estimated_stepping_batches
        # Asking builds the training loader before a checkpoint is restored, and its workers fetch ahead at once; a
        # loader built again, when training begins, starts where the checkpoint says.
        self.trainer.fit_loop._combined_loader = None
        schedule = self._scheduler(optimizer, total_steps=int(total))
        if self._compile_from is not None and total >= self._compile_from:
            torch.compiler.reset()  # graphs of the runs before in this process count against a limit
            self._enlarge = torch.compile(self.forward)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the network."""
        checkpoint["sr"] = self._config
