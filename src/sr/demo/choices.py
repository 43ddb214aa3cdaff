"""The models and leaderboards that the demo offers."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.runs.best import best_cell, model_path
from sr.runs.schema import read_result
from sr.weights import zoo
from sr.weights.find import find_model, scales_of

log = logging.getLogger(__name__)

Choices = dict[str, tuple[str, int]]  # label: name for `sr.load`, scale


def find_models(runs: Path, names: Sequence[str] = ()) -> Choices:
    """Models by name, the networks that ship with sr, then the trained runs below a folder.

    Of the former the one that gains most comes first, of the latter the newest. The best cell of a sweep comes before
    its other cells, and its label says so.
    """
    choices: Choices = {}
    for name in names:
        path = model_path(name)
        scales = scales_of(path)
        model = find_model(path, scales[0] if scales else None)
        choices |= _choices(model.label, name, scales or [model.scale], taken=choices)
    for entry in sorted(zoo.entries(), key=lambda entry: -entry.gain):
        choices |= _choices(entry.name, entry.name, entry.about["scales"])
    checkpoints = sorted(runs.rglob(f"{RunFolder(Path()).best}"), key=lambda path: path.stat().st_mtime, reverse=True)
    records = {run.path for run in RunFolder.below(runs)}
    folders = list(dict.fromkeys(_run_of(path, records) for path in checkpoints))
    marks = _best_cells(runs)
    for best, (sweep, _) in marks.items():
        first = next(number for number, folder in enumerate(folders) if sweep in folder.parents)
        folders.remove(best)
        folders.insert(first, best)
    for folder in folders:
        try:
            result = read_result(folder)
        except UserError as error:
            log.warning("%s (not offered)", error)
            continue
        config = result.config if result else {}
        scales = config.get("data", {}).get("scales") or [config.get("scale", 1)]
        label = str(folder.relative_to(runs)) if folder != runs else folder.resolve().name
        label += marks[folder][1] if folder in marks else ""
        choices |= _choices(label, str(folder), scales)
    return choices


def find_boards(runs: Path) -> dict[str, Path]:
    """Folders at any depth that hold several runs."""
    records = {run.path for run in RunFolder.below(runs)}
    counts = Counter(path.parent for path in records if records.isdisjoint(path.parents))
    return {str(folder): folder for folder, count in sorted(counts.items()) if count > 1}


def _best_cells(runs: Path) -> dict[Path, tuple[Path, str]]:
    """The best cell of each folder of several runs, with that folder and what its label says."""
    marks = {}
    for sweep in find_boards(runs).values():
        try:
            best = best_cell(sweep)
        except UserError:  # they cannot be ranked: each is offered as it is
            continue
        name = sweep.relative_to(runs) if sweep != runs else sweep.resolve().name
        lost = f", loses to {best.loses_to}" if best.loses_to else ""
        marks[best.folder] = (sweep, f" (best of {name}{lost})")
    return marks


def _choices(label: str, name: str, scales: list[int], taken: Collection[str] = ()) -> Choices:
    """A choice for each scale of a model, by its label, or by its name where that is taken.

    The label names the scale where there are several.
    """
    endings = ["" if len(scales) == 1 else f", x{scale}" for scale in scales]
    if any(f"{label}{ending}" in taken for ending in endings):
        label = name
    return {f"{label}{ending}": (name, scale) for ending, scale in zip(endings, scales, strict=True)}


def _run_of(checkpoint: Path, records: set[Path]) -> Path:
    """The run of a checkpoint: the outermost folder with a record, since folds lie inside their run."""
    run = next((folder for folder in reversed(checkpoint.parents) if folder in records), None)
    folder = RunFolder(checkpoint.parents[1])
    return run or (folder.path.parent if folder.is_fold else folder.path)
