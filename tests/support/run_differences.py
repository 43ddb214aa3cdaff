"""Compare two folders of runs, ignoring times: checkpoints bit for bit, tables, curves and trials."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr.io.run_folder import RunFolder
from sr.io.tables import read_table

_TIMES = ("seconds", "time/")  # columns and curves that differ between any two runs
_STATE = ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "random", "epoch", "global_step")


def differences(first: Path, second: Path) -> list[str]:
    """What differs between two folders, each with a run or a sweep; empty if the runs are the same."""
    sides = (first, second)
    first_runs, second_runs = ([path.relative_to(side) for path in _run_folders(side)] for side in sides)
    if first_runs != second_runs:
        return [f"runs: {first_runs} and {second_runs}"]
    messages: list[str] = []
    for run in first_runs:
        messages += _run_differences(run, RunFolder(first / run), RunFolder(second / run))
    first_trials, second_trials = map(_trials, sides)
    if first_trials != second_trials:
        messages.append(f"trials: {first_trials} and {second_trials}")
    return messages


def _run_folders(side: Path) -> list[Path]:
    return sorted(path.parent for path in side.rglob("result.json"))


def _run_differences(name: Path, first: RunFolder, second: RunFolder) -> Iterator[str]:
    for paths in ((first.last, second.last), (first.best, second.best)):
        if any(path.is_file() for path in paths):
            states = [_without_times(torch.load(path, weights_only=True)) for path in paths]
            file = paths[0].relative_to(first.path)
            yield from (f"{name}/{file}: {place}" for place in _unequal(states[0], states[1]))
    for paths in ((first.metrics, second.metrics), (first.images, second.images)):
        if _table(paths[0]) != _table(paths[1]):
            yield f"{name}/{paths[0].name}"
    curves = [_curves(run.path) for run in (first, second)]
    for tag in sorted({*curves[0], *curves[1]}):
        if curves[0].get(tag) != curves[1].get(tag):
            yield f"{name}: curve {tag}"


def _without_times(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint without the times and places of its run."""
    callbacks = {
        name: state for name, state in checkpoint["callbacks"].items() if not name.startswith(("Timing", "RunCheck"))
    }
    for name, state in callbacks.items():
        if name.startswith("EpochTable"):
            state["rows"] = [{key: cell for key, cell in row.items() if key != "seconds"} for row in state["rows"]]
    return {**{name: checkpoint.get(name) for name in _STATE}, "callbacks": callbacks}


def _unequal(first: Any, second: Any, place: str = "") -> Iterator[str]:
    """Dotted names of the values that differ between two nested containers."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        for name in first:
            yield from _unequal(first[name], second[name], f"{place}.{name}")
    elif isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        for number, pair in enumerate(zip(first, second, strict=True)):
            yield from _unequal(*pair, f"{place}.{number}")
    elif isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        if not torch.equal(first, second):
            yield place
    elif first != second:
        yield place


def _table(path: Path) -> list[dict[str, str]]:
    rows = read_table(path) if path.is_file() else []
    return [{name: cell for name, cell in row.items() if not name.startswith(_TIMES)} for row in rows]


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of each curve that TensorBoard shows of a run."""
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it reports every resumed run
    events = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith(_TIMES)]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def _trials(folder: Path) -> list[tuple[object, ...]]:
    """Number, state, parameters and values of the trials of a search, none if the folder holds no search."""
    if not (folder / "study.journal").is_file():
        return []
    from hydra_plugins.sr_optuna.reading import open_search

    with open_search(folder) as study:
        return [(trial.number, trial.state.name, trial.params, trial.values) for trial in study.trials]
