"""LitSR, the LightningModule: the steps of one network with one loss and one optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sr.io.logs import LateLog
from sr.terms import BASELINES, Batch, NetworkConfig, Part, StepOutput
from sr.vgg import VGGFeatures

# The order of the validation loaders, see `sr.datamodule.ISRDataModule.val_dataloader`.
_PARTS = (Part.VAL, Part.TRAIN)

# Scores that are not logged as curves: those of baselines other than the input are in the image tables only.
_NOT_LOGGED = tuple(f"{baseline.prefix}_" for baseline in BASELINES[1:])


class LitSR(LightningModule):
    """Train any network with any loss and any optimizer, and score it against its input.

    Batches are ``lr`` ``(N, C, h, w)`` and ``hr`` ``(N, C, scale*h, scale*w)``, float32 in [0, 1], and ``name``.
    Steps log ``lr`` and ``train/loss_step``. Validation and test log the means over images of ``PART/loss``,
    each metric, as ``PART/psnr``, of each metric of the input, as ``PART/input_psnr``, and ``PART/gain`` (dB), where
    PART is val, test, or train for some whole training images (without their loss, which the steps log).
    """

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        scorer: Callable[[Tensor, Tensor, Tensor, list[str], int | None, bool], dict[str, Tensor]],
        config: NetworkConfig | None = None,
        compile_from: int | None = None,
        compiled_batch: int | None = None,
    ) -> None:
        """Store the network, the loss, the scorer, and the factories of the optimizer and its schedule.

        Args:
            net: maps lr to an unclamped image of the size of hr.
            loss: compares (sr, hr); its parameters are not trained.
            optimizer: builds the optimizer from the parameters.
            scheduler: builds the schedule from the optimizer and the number of steps of the run.
            scorer: scores (sr, lr, hr, names, border, whether the files are gray) under a protocol.
            config: what rebuilds the network; saved in every checkpoint.
            compile_from: compile the network for training in runs of at least this many steps; None: never. Scoring is
                never compiled, since image sizes vary.
            compiled_batch: examples in the batches that the network is compiled for; others, such as the last one of an
                epoch, would have it compiled again. None: batches of any size.
        """
        super().__init__()
        self.net, self.loss, self.scorer = net, loss, scorer
        self._optimizer, self._scheduler = optimizer, scheduler
        self._config = config
        self.steps_before: int | None = 0  # behind the weights that it starts from; None: unknown
        self.schedule_steps = 0  # that the schedule of the learning rate is laid out for
        self._compile_from, self._compiled_batch = compile_from, compiled_batch
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self.late_log = LateLog()
        # DDP would send them from GPU to GPU before every step, though they never change: 30 MB.
        self._ddp_params_and_buffers_to_ignore = [
            ".".join(filter(None, ("loss", place, name)))
            for place, module in loss.named_modules()
            if isinstance(module, VGGFeatures)
            for name, _ in module.named_buffers()
        ]

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` to ``(N, C, scale*h, scale*w)``, unclamped."""
        out: Tensor = self.net(lr)
        return out

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        lr = batch["lr"]
        is_usual = self._compiled_batch in (None, len(lr))
        loss: Tensor = self.loss((self._compiled if self._compiled and is_usual else self.forward)(lr), batch["hr"])
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        steps = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0
        if every and steps and (self.trainer.global_step + 1) % every == 0:
            rate = {"lr": self.trainer.optimizers[0].param_groups[0]["lr"]}
            self.late_log.add(self.trainer, "train/loss_step", loss, rate, self.trainer.global_step)
        return loss

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Count numbers below 1e-38 as zero in this step, see `sr.machine.denormals`; NumPy warns where it is so."""
        torch.set_flush_denormal(True)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Log what is left of the epoch."""
        torch.set_flush_denormal(False)
        if self.trainer.is_last_batch:
            self.late_log.log_arrived(self.trainer, wait=True)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> StepOutput:
        """Score a batch of validation or of training images."""
        return self._score(batch, _PARTS[dataloader_idx])

    def test_step(self, batch: Batch, batch_idx: int) -> StepOutput:
        """Score a batch of test images."""
        return self._score(batch, Part.TEST)

    def _score(self, batch: Batch, part: Part) -> StepOutput:
        sr = self.net(batch["lr"])
        is_gray = batch.get("stored_gray", False)
        scores = self.scorer(sr, batch["lr"], batch["hr"], batch["name"], batch.get("border"), is_gray)
        means = {f"{part}/{name}": scores[name].mean().float() for name in scores if not name.startswith(_NOT_LOGGED)}
        if part is not Part.TRAIN:
            means[f"{part}/loss"] = self.loss(sr, batch["hr"])
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=len(sr), add_dataloader_idx=False)
        return {"part": part, "name": batch["name"], "scores": scores, "sr": sr}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer for parameters that are not frozen, and the schedule over the steps of the whole run."""
        optimizer = self._optimizer([parameter for parameter in self.net.parameters() if parameter.requires_grad])
        total = self.trainer.estimated_stepping_batches
        # This builds the training loader before the checkpoint is restored, and its workers prefetch from the start of
        # the epoch. Without it, Lightning builds another when training begins, which starts where the checkpoint says.
        self.trainer.fit_loop._combined_loader = None
        self.schedule_steps = int(total)
        schedule = self._scheduler(optimizer, total_steps=self.schedule_steps)
        if self._compile_from is not None and total >= self._compile_from:
            torch.compiler.reset()  # graphs of earlier runs in this process count towards a limit
            self._compiled = torch.compile(self.forward)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the values that rebuild the network, and the number of steps behind its weights."""
        steps = None if self.steps_before is None else self.steps_before + checkpoint["global_step"]
        checkpoint["sr"] = {**(self._config or {}), "steps": steps}
