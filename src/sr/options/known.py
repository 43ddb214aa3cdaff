"""What is known about options in addition to the signatures of what they configure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from sr.options.annotations import Component, Matching, Range

_Count = Annotated[int, Range(1)]
_Seed = Annotated[int, Range(0, 2**32 - 1)]
_Share = Annotated[float, Range(0, 1)]
_CountOrShare = _Count | Annotated[float, Range(0, 1, open_start=True)]  # of batches


@dataclass(frozen=True)
class TopLevel:
    """The top-level options of ``conf/train.yaml`` with their types; new ones must be added here."""

    name: str | int | float | None
    scale: _Count
    seed: _Seed
    seeds: Annotated[int, Range(2)] | Sequence[_Seed] | None
    adam_lr: float
    vgg_weights: str
    monitor: str
    mode: Literal["max", "min"]
    objectives: Sequence[str] | None
    trials: _Count
    test: bool
    retrain: bool
    init: str | None
    init_strict: bool
    init_freeze: str | Sequence[str] | None
    trust: Sequence[str]
    run_dir: str
    model: Component
    loss: Component
    optimizer: Component
    scheduler: Component
    data: Component
    metrics: Mapping[str, Component]
    scorer: Component
    trainer: Component
    callbacks: Mapping[str, Component | None]
    logger: Mapping[str, Component | None] | None


# Options that are processed before they are passed to a constructor, and bounds that Lightning checks late or never.
ANNOTATIONS: dict[str, Any] = {
    "trainer.accelerator": Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"],
    "trainer.accumulate_grad_batches": _Count,
    "trainer.check_val_every_n_epoch": _Count | None,
    "trainer.compile": Literal["auto"] | bool,
    "trainer.devices": Literal["auto", "in_turn", -1]
    | _Count
    | Sequence[Annotated[int, Range(0)]]
    | Annotated[str, Matching(r"-?\d+(, *\d+)*", "numbers with commas between them")],
    "trainer.gradient_clip_val": Annotated[float, Range(0)] | None,
    "trainer.limit_test_batches": Annotated[int, Range(0)] | _Share | None,
    "trainer.limit_train_batches": _CountOrShare | None,
    "trainer.limit_val_batches": Annotated[int, Range(0)] | _Share | None,
    "trainer.log_every_n_steps": Annotated[int, Range(0)],
    "trainer.max_epochs": _Count,
    "trainer.max_steps": Literal[-1] | _Count,
    "trainer.min_epochs": Annotated[int, Range(0)] | None,
    "trainer.num_nodes": _Count,
    "trainer.num_sanity_val_steps": Annotated[int, Range(-1)],
    "trainer.overfit_batches": Annotated[int, Range(0)] | _Share,
    "trainer.threads": Literal["auto"] | _Count,
}

# Values that are allowed in addition to those of the constructor.
ALSO_VALID: dict[str, Any] = {"data.fold": Literal["all"], "trainer.precision": Literal["auto"]}

# Options that name folders.
FOLDERS = ("data.root", "data.val_root", "data.test_root", "data.high_res", "data.low_res")

# The number of positional arguments, and the names of keyword arguments, that `sr` itself passes to a component.
PASSED_FIRST = {"optimizer": 1, "scheduler": 2, "data.find": 1}
PASSED_BY_NAME = {
    "data.find": ("on_bad_file", "scale", "high_res", "low_res", "low_res_name", "recursive"),
    "scorer": ("metrics",),
    "trainer": ("callbacks", "logger", "plugins", "default_root_dir"),
}

# Loggers that forward their keyword arguments, and the classes that receive them.
FORWARDED_TO = {"sr.trackers.tensorboard.TensorBoardTracker": "torch.utils.tensorboard.SummaryWriter"}
