"""Training speed, and the time spent waiting for data."""

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer

from sr.io.logs import log_now


class Timing(Callback):
    """Measure training seconds, the share of them spent waiting for data, and images per second."""

    def __init__(self) -> None:
        """Start at zero; a resumed run continues the counts of its checkpoint."""
        self.train_seconds = 0.0
        self.wait_seconds = 0.0
        self.images = 0
        self._mark = 0.0
        self._batch_started = 0.0

    @property
    def wait_share(self) -> float:
        """Share of training time spent between steps, where the next batch is fetched; 0 to 1."""
        return self.wait_seconds / self.train_seconds if self.train_seconds else 0.0

    @property
    def images_per_second(self) -> float:
        """Training examples (crops or whole images) per second of training time."""
        return self.images / self.train_seconds if self.train_seconds else 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start waiting, in an epoch that is resumed in the middle."""
        self._mark = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start waiting for the first batch."""
        self._mark = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stop waiting."""
        self._batch_started = time.perf_counter()
        self.wait_seconds += self._batch_started - self._mark

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch and start waiting for the next."""
        now = time.perf_counter()
        self.train_seconds += now - self._mark
        self.images += len(batch["lr"]) * trainer.world_size
        self._mark = now

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the rates."""
        values = {"time/wait_share": self.wait_share, "time/images_per_second": self.images_per_second}
        log_now(trainer, values, trainer.global_step - 1)

    def state_dict(self) -> dict[str, Any]:
        """Return seconds and images so far."""
        return {"train_seconds": self.train_seconds, "wait_seconds": self.wait_seconds, "images": self.images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the counts of the checkpoint."""
        self.train_seconds, self.wait_seconds = state_dict["train_seconds"], state_dict["wait_seconds"]
        self.images = state_dict["images"]
