"""result.json: what a run was, what it reached, and how it is repeated."""

import json
import shlex
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sr.errors import UserError
from sr.io.locks import is_held
from sr.io.atomic import write_text

NAME = "result.json"
LOCK = ".lock"  # of a run folder, held by the process that trains it

_LEAST_GAIN = 0.005  # dB

_ABSENT = object()

_COSTS = ("ms_per_image", "parameters", "multiply_adds", "train_seconds", "peak_memory_bytes")

# Settings that change where or how fast a run goes, not what it computes.
_NOT_COMPARED = ("run_dir", "retrain", "test", "logger", "objectives", "callbacks.checkpoints.minutes")


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write ``result.json`` whole; values that JSON lacks (nan, infinity) become null."""
    write_text(folder / NAME, json.dumps(_finite(dict(result)), indent=2) + "\n")


def read_result(folder: Path) -> dict[str, Any] | None:
    """Read ``result.json``, or None if there is none.

    Raises:
        UserError: if it is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: is damaged ({error}): retrain=true trains anew in this folder") from error
    return result


def is_running(folder: Path, result: Mapping[str, Any]) -> bool:
    """Whether a process trains the run of this folder: its result says so, and someone holds its lock."""
    return result["status"] == "running" and is_held(folder / LOCK)


def differences(result: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Options in which a result's config differs from this one, apart from those that do not change what is computed.

    >>> differences({"config": {"run_dir": "/a", "optimizer": {"lr": 1}}}, {"run_dir": "/b", "optimizer": {"lr": 2}})
    ['optimizer.lr: 1 there, 2 here']
    """
    there, here = (_flat(one, str(one.get("run_dir"))) for one in (result["config"], config))
    names = sorted(there.keys() | here.keys())
    return [
        f"{name}: {there.get(name, 'absent')} there, {here.get(name, 'absent')} here"
        for name in names
        if there.get(name, _ABSENT) != here.get(name, _ABSENT)
    ]


def _flat(config: Mapping[str, Any], folder: str, prefix: str = "") -> dict[str, Any]:
    """Dotted names to values; paths inside the run folder lose it, since it may have moved."""
    values: dict[str, Any] = {}
    for name, value in config.items():
        if prefix + name in _NOT_COMPARED:
            continue
        if isinstance(value, Mapping):
            values |= _flat(value, folder, f"{prefix}{name}.")
        else:
            values[prefix + name] = value.removeprefix(folder) if isinstance(value, str) else value
    return values


def beats_input(gain: float) -> bool:
    """Whether a gain in dB is one: less than what two decimals show is none."""
    return gain >= _LEAST_GAIN


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over images of each score in the rows of an image table.

    >>> summarise([{"name": "a", "psnr": 30.0}, {"name": "b", "psnr": 32.0}])
    {'psnr': {'mean': 31.0, 'sd': 1.4142135623730951}}
    """
    scores = [name for name, value in rows[0].items() if isinstance(value, float)] if rows else []
    columns = {name: [row[name] for row in rows] for name in scores}
    return {
        name: {"mean": statistics.fmean(column), "sd": statistics.stdev(column) if len(column) > 1 else 0.0}
        for name, column in columns.items()
    }


def objective(result: Mapping[str, Any], name: str) -> float:
    """What a search optimizes: a mean score such as ``val/psnr``, or a cost such as ``ms_per_image``.

    >>> objective({"ms_per_image": 2.5, "scores": {"val": {"psnr": {"mean": 30.0, "sd": 1.0}}}}, "val/psnr")
    30.0

    Raises:
        UserError: if the result has no such number.
    """
    part, slash, score = name.partition("/")
    value = result["scores"].get(part, {}).get(score, {}).get("mean") if slash else result.get(name)
    if not isinstance(value, int | float):
        scores = [f"{part}/{score}" for part, scores in result["scores"].items() for score in scores]
        costs = [name for name in _COSTS if name in result]
        raise UserError(f"objectives: no {name!r} in a result: use {', '.join([*scores, *costs])}")
    return float(value)


def mean_and_sd_by_epoch(tables: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, float]]:
    """Mean and standard deviation over folds of every column at every epoch that any fold has it for.

    >>> mean_and_sd_by_epoch([[{"epoch": "0", "val/psnr": "30"}], [{"epoch": "0", "val/psnr": "32"}]])
    [{'epoch': 0, 'folds': 2, 'val/psnr': 31.0, 'val/psnr_sd': 1.4142135623730951}]
    """
    values: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    counts: dict[int, int] = defaultdict(int)
    for table in tables:
        for row in table:
            epoch = int(row["epoch"])
            counts[epoch] += 1
            for name, value in row.items():
                if name != "epoch" and value != "":
                    values[epoch][name].append(float(value))
    rows = []
    for epoch in sorted(counts):
        joined: dict[str, float] = {"epoch": epoch, "folds": counts[epoch]}
        for name, column in values[epoch].items():
            joined[name] = statistics.fmean(column)
            joined[f"{name}_sd"] = statistics.stdev(column) if len(column) > 1 else 0.0
        rows.append(joined)
    return rows


def command(overrides: Sequence[str], changes: Mapping[str, Any]) -> str:
    """The command line that repeats a run: its overrides, and options that replace some of them."""
    kept = [override for override in overrides if override.partition("=")[0] not in changes]
    return shlex.join(["python", "-m", "sr.train", *kept, *(f"{name}={value}" for name, value in changes.items())])


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
