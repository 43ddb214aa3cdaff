"""Whether two runs are the same: they compute the same, whatever their folder and their logs."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from sr.errors import some_of
from sr.terms import DEFAULT_METRICS

_ABSENT = object()

# Options of ``data`` that say where the images are and which files are pairs.
PLACES = ("root", "high_res", "low_res", "low_res_name", "recursive", "val_root", "test_root")

# Options that change where or how fast a run goes or what it scores and logs, not what it computes; those whose value
# stands elsewhere in the config as well (in the VGG loss, in the optimizer, in a callback, in the data); and the
# folders of the images, whose contents are compared instead.
_NOT_COMPARED = re.compile(
    r"name|run_dir|retrain|test|trust|logger|metrics|objectives|trials|vgg_weights|adam_lr"
    rf"|data\.({'|'.join(PLACES)}|cache|cache_dir|num_workers)"
    r"|trainer\.(accelerator|benchmark|log_every_n_steps|threads)"
    r"|callbacks\.checkpoints\.minutes|callbacks\.(pictures|samples)"
    r"|callbacks\.\w+\.(monitor|mode|fold|trainings_before)"
    r"|model\.image_channels|scorer\.bits"
)
_OF_ONE_TRAINING = re.compile(r"seed|seeds|name|data\.(seed|fold)")


def differences(recorded: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Options in which a recorded config differs from this one, apart from those that do not change the result.

    >>> differences({"run_dir": "/a", "optimizer": {"lr": 1}}, {"run_dir": "/b", "optimizer": {"lr": 2}})
    ['optimizer.lr: 1 there, 2 here']
    """
    there, here = map(_compared, (recorded, config))
    return [
        f"{name}: {_shown(there, name)} there, {_shown(here, name)} here"
        for name in sorted((there.keys() | here.keys()) - _seeds_not_compared(recorded, config))
        if there.get(name, _ABSENT) != here.get(name, _ABSENT)
    ]


def _seeds_not_compared(recorded: Mapping[str, Any], config: Mapping[str, Any]) -> set[str]:
    """What says which seeds a cell trains: seeds may be added to those that it has, and a list leaves ``seed`` unused.

    >>> differences({"seeds": [1, 2], "seed": 23}, {"seeds": [1, 2, 3], "seed": 1})
    []
    >>> differences({"seeds": None}, {"seeds": 3})
    ['seeds: null there, 3 here']
    """
    if not (recorded.get("seeds") and config.get("seeds")):
        return set()
    if isinstance(config["seeds"], int):
        return {"seeds"}
    follows = all("data" in one and one["data"].get("seed") == one.get("seed") for one in (recorded, config))
    return {"seeds", "seed", *(["data.seed"] if follows else [])}


def _shown(values: Mapping[str, Any], name: str) -> object:
    value = values.get(name, "absent")
    return "null" if value is None else value


def configuration(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config computes, as dotted names and values, apart from the seed and the fold of its trainings.

    >>> configuration({"run_dir": "/a", "seed": 1, "optimizer": {"lr": 2}, "data": {"fold": 0}})
    {'optimizer.lr': 2}
    """
    flat = _compared(config)
    return {name: value for name, value in flat.items() if not _OF_ONE_TRAINING.fullmatch(name)}


def data_differences(
    recorded: Sequence[Mapping[str, str]], current: Sequence[Mapping[str, str]], *, of_split: bool = True
) -> str:
    """How the images of a run differ from those it began with, in words; empty if they do not.

    Args:
        recorded: rows with ``name``, ``part`` and ``hash``.
        current: the same.
        of_split: whether images in another part of the split count.

    >>> a, b = {"name": "a", "part": "val", "hash": "1"}, {"name": "b", "part": "train", "hash": "2"}
    >>> data_differences([a], [{**a, "hash": "3"}, b])
    '1 added (b), 1 changed (a)'
    """
    before, now = ({row["name"]: row for row in rows} for rows in (recorded, current))
    both = [name for name in before if name in now]
    names = {
        "added": [name for name in now if name not in before],
        "removed": [name for name in before if name not in now],
        "changed": [name for name in both if before[name]["hash"] != now[name]["hash"]],
        "in another part of the split": [
            name for name in both if of_split and before[name]["part"] != now[name]["part"]
        ],
    }
    return ", ".join(f"{len(listed)} {kind} ({some_of(sorted(listed))})" for kind, listed in names.items() if listed)


def _compared(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names and values of what a config computes; of its metrics the monitored one, which chooses the epoch.

    >>> _compared({"monitor": "val/vif", "metrics": {"vif": {"label": "VIF", "function": {"_target_": "f"}}}})
    {'monitor': 'val/vif', 'metrics.vif.function._target_': 'f'}
    """
    folder = str(config.get("run_dir"))
    name = str(config.get("monitor")).removeprefix("val/")
    function = (config.get("metrics") or {}).get(name, {}).get("function")
    monitored = _flat(function, folder, f"metrics.{name}.function.") if function and name not in DEFAULT_METRICS else {}
    return _flat(config, folder) | monitored


def _flat(config: Mapping[str, Any], folder: str, prefix: str = "") -> dict[str, Any]:
    """Dotted names to values; paths inside the run folder lose it, since the folder may have moved."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        name = prefix + key
        if _NOT_COMPARED.fullmatch(name):
            continue
        if isinstance(value, Mapping):
            values |= _flat(value, folder, f"{name}.")
        else:
            values[name] = value.removeprefix(folder) if isinstance(value, str) else value
    return values


def command(overrides: Sequence[str], changes: Mapping[str, Any]) -> str:
    """The command line that repeats a run: its overrides, and options that replace some of them.

    It leaves out ``name``, by which it would find the folder of this run.
    """
    kept = [override for override in overrides if override.partition("=")[0] not in {"name", *changes}]
    changed = (f"{name}={'null' if value is None else value}" for name, value in changes.items())
    return shlex.join(["python", "-m", "sr.train", *kept, *changed])
