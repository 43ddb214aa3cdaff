"""Small runs: options that make them small, types of the fixtures that start them, and their results."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from omegaconf import DictConfig

from sr.train import config_dir

NEEDED = {"model=community": ["model.arch=Compact"]}  # options that a choice has no default for
SMALL = ["data.patch=32", "data.repeat=1", "data.batch_size=4", "trainer.precision=32-true", "trainer.accelerator=cpu"]
Command = Callable[..., tuple[int, str]]
Compose = Callable[..., DictConfig]
MakeFolder = Callable[..., Path]


def result_of(folder: Path) -> dict[str, Any]:
    """The result of a run folder."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def config_names(group: str) -> list[str]:
    """All choices of a config group."""
    names = sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))
    assert names, f"no configs in {group}"
    return names


class StopAt(Callback):
    """Sends SIGINT (Ctrl-C) or another signal after a number of training steps."""

    def __init__(self, step: int, number: int = signal.SIGINT) -> None:
        self.step, self.number = step, number

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if trainer.global_step == self.step:
            signal.raise_signal(self.number)


def model_names() -> list[str]:
    """All choices of a network but ``community``, which needs spandrel and the name of an architecture."""
    return [name for name in config_names("model") if name != "community"]
