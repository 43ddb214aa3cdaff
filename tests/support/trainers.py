"""A fake trainer for checkpoints."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch.trainer.states import TrainerFn

from sr.callbacks.checkpoints import RunCheckpoints


class FakeTrainer:
    """Counts steps and records the checkpoints to save and the decisions that its processes must agree on."""

    def __init__(self, *, world_size: int = 1, others_agree: bool = False) -> None:
        self.world_size, self.others_agree = world_size, others_agree
        self.global_step, self.current_epoch = 0, 0
        self.is_last_batch = self.sanity_checking = self.fast_dev_run = False
        self.is_global_zero = True
        self.state = SimpleNamespace(fn=TrainerFn.FITTING)
        self.ckpt_path = None
        self.loggers: list[Any] = []
        self.callbacks: list[Any] = []
        self.callback_metrics: dict[str, torch.Tensor] = {}
        self.strategy = SimpleNamespace(reduce_boolean_decision=self._reduce)
        self.saved: list[str] = []
        self.decisions: list[bool] = []

    def _reduce(self, decision: bool, all: bool = True) -> bool:
        self.decisions.append(decision)
        return decision or (self.others_agree and not all)

    def save_checkpoint(self, path: str | Path, weights_only: bool = False) -> None:
        self.saved.append(Path(path).name)
        if Path(path).parent.is_dir():
            Path(path).touch()


def take_step(checkpoints: RunCheckpoints, run: Any, *, is_last: bool = False) -> None:
    """Notify the checkpoints of the end of a step, which may be the last of its epoch."""
    run.global_step += 1
    run.is_last_batch = is_last
    module: Any = SimpleNamespace(automatic_optimization=True, device=torch.device("cpu"))
    checkpoints.on_train_batch_end(run, module, None, None, 0)
