"""Random states in checkpoints."""

import random
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer


class RandomStates(Callback):
    """Save random states in checkpoints, so that a resumed run draws the same numbers, for dropout say."""

    def __init__(self) -> None:
        """Start with nothing to restore."""
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
        """Keep the states until the first step, since setting up the run draws random numbers too."""
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
