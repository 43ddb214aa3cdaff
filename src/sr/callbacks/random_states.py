"""Random states in checkpoints."""

import random
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from sr.callbacks.agreement import from_all_processes


class RandomStates(Callback):
    """Save random states in checkpoints, so that a resumed run draws the same numbers, for dropout say.

    Each of several processes gets its own states back. With another number of processes than before, rank 0 gets those
    of rank 0, and the others keep what their seed gave them: such a run cannot go on as if nothing had happened.
    """

    def __init__(self) -> None:
        """Start with nothing to restore."""
        self._restored: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the states of Python, numpy and torch as plain values and tensors, for each process."""
        ranks = from_all_processes(trainer, _states(pl_module.device))
        checkpoint["random"] = ranks[0]
        if len(ranks) > 1:
            checkpoint["random_of_ranks"] = ranks

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the states until the first step, since setting up the run draws random numbers too."""
        ranks = checkpoint.get("random_of_ranks") or [checkpoint.get("random")]
        if len(ranks) == trainer.world_size:
            self._restored = ranks[trainer.global_rank]
        else:
            self._restored = ranks[0] if trainer.is_global_zero else None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Restore the states before the first step."""
        if self._restored is not None:
            _restore(self._restored, pl_module.device)
            self._restored = None


def _states(device: torch.device) -> dict[str, Any]:
    """The states of this process; of several GPUs only that of its own, since reading others would occupy them."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    assert isinstance(numpy_state, dict)
    key = numpy_state["state"]["key"].tolist()
    return {
        "python": random.getstate(),
        "numpy": {**numpy_state, "state": {**numpy_state["state"], "key": key}},
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state(device)] if device.type == "cuda" else [],
    }


def _restore(states: dict[str, Any], device: torch.device) -> None:
    random.setstate(states["python"])
    state = states["numpy"]
    np.random.set_state({**state, "state": {**state["state"], "key": np.array(state["state"]["key"], np.uint32)}})  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    of_gpus = states["cuda"]  # earlier versions saved those of all
    if device.type == "cuda" and of_gpus:
        number = device.index or 0
        torch.cuda.set_rng_state(of_gpus[number if number < len(of_gpus) else 0], device)
