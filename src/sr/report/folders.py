"""Read finished runs: their results, the scores of their images, their curves."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.runs.schema import DataSummary, RunResult, read_result
from sr.runs.scores import over_folds_by_epoch
from sr.runs.status import Cell, find_cells
from sr.terms import Part

EVALUATIONS = "evaluations"  # folder in a run's: scores on other images, as JSON lists of rows

_META = ("name", "fold", "epoch")
_NEEDED = ("psnr", "ssim", "gain", "input_psnr", "input_ssim")
_EVALUATED = {"data": str, "scale": int, "protocol": str, "psnr": float, "ssim": float, "images": int}


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: its folder, seen from the report's.
        folders: where it is; several if each of its folds was a run of its own.
        result: its ``result.json``.
        images: validation images in the order of their names, each with its scores.
        folds: for each image the fold that validated it.
        curve: rows of its ``metrics.csv`` as numbers.
        evaluations: scores on other images.
    """

    name: str
    folders: tuple[Path, ...]
    result: RunResult
    images: Mapping[str, Mapping[str, float]]
    folds: Mapping[str, int]
    curve: Sequence[Mapping[str, float]]
    evaluations: Sequence[Mapping[str, Any]] = ()

    @property
    def sweep(self) -> str:
        """The folder that it and its siblings are in, seen from the report's; empty for the report's own."""
        return self.name.rpartition("/")[0]

    @property
    def fold(self) -> int | None:
        """The fold that it trained; None if it trained all, or there are none."""
        fold = self.result.config["data"].get("fold")
        return fold if isinstance(fold, int) else None

    @property
    def data(self) -> DataSummary:
        """The images of its data set."""
        assert self.result.data is not None  # looked at when it was read
        return self.result.data

    @property
    def levels(self) -> tuple[str, str, str]:
        """Model, loss and optimizer, as tables name them."""
        choices = self.result.choices
        return str(choices.get("model")), self.result.loss, str(choices.get("optimizer"))

    def column(self, score: str) -> list[float]:
        """A score of every image, in the order of their names."""
        return [scores[score] for scores in self.images.values()]

    def by_fold(self, score: str) -> list[float]:
        """Mean of a score over the images of each fold."""
        values = defaultdict(list)
        for name, scores in self.images.items():
            values[self.folds[name]].append(scores[score])
        return [sum(column) / len(column) for _, column in sorted(values.items())]


@dataclass
class Comparison:
    """Runs scored on the same images under the same protocol; only such runs share a table.

    Attributes:
        protocol: ``rgb`` or ``y``.
        scale: factor between input and output.
        fingerprint: of the images' names and contents.
        shrink: for scale 1 without ``low_res/``.
        runs: at least one.
    """

    protocol: str
    scale: int
    fingerprint: str
    shrink: int | None
    runs: list[Run] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What all its runs have in common, in one line."""
        count = len(self.runs[0].images)
        images = f"{count} image{'s' if count > 1 else ''}"
        return f"{images}, scale {self.scale}, protocol {self.protocol}, data {self.fingerprint[:8]}"


@dataclass(frozen=True)
class Found:
    """What a folder holds: comparisons, cells that are not done, and what could not be read, a line each."""

    comparisons: list[Comparison]
    unfinished: list[Cell]
    problems: list[str]


def find_runs(folder: Path) -> Found:
    """Read every run below a folder; what is damaged is named and left out.

    Raises:
        UserError: if there is no run that is done.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: name the folder of a run or of a sweep (hydra.sweep.dir)")
    runs, unfinished, problems = [], [], []
    for cell, place in _cells(folder):
        if cell.status == "damaged":
            problems.append(cell.reason)
        elif cell.status != "done":
            unfinished.append(cell)
        else:
            try:
                runs.append(_read(cell.name, place, problems))
            except (OSError, ValueError, KeyError, TypeError) as error:
                problems.append(
                    f"{place}: left out, its tables are damaged ({_say(error)}): train it with retrain=true"
                )
    if not runs:
        more = "".join(f"; {line}" for line in problems) or f", {len(unfinished)} are not: see sr status"
        raise UserError(f"{folder}: no run in it is done{more}")
    return Found(_comparisons(_join_folds(runs)), unfinished, problems)


def _cells(folder: Path) -> list[tuple[Cell, Path]]:
    """Runs at any depth, named by their path, without the folds inside them."""
    if RunFolder(folder).result.is_file():
        cells = [cell for cell in find_cells(folder.resolve().parent) if cell.name == folder.resolve().name]
        return [(cell, folder) for cell in cells]
    found: list[tuple[Cell, Path]] = []
    for parent in [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]:
        if any(
            RunFolder(above).result.is_file() for above in (parent, *parent.parents) if above.is_relative_to(folder)
        ):
            continue  # inside a run
        try:
            cells = find_cells(parent)
        except UserError:
            continue
        prefix = "" if parent == folder else f"{parent.relative_to(folder).as_posix()}/"
        found += [(_renamed(cell, prefix + cell.name), parent / cell.name) for cell in cells]
    return found


def _renamed(cell: Cell, name: str) -> Cell:
    return Cell(name, cell.status, cell.reason, cell.gain, cell.seconds, cell.folds)


def _read(name: str, folder: Path, problems: list[str]) -> Run:
    result = read_result(folder)
    assert result is not None
    if result.data is None:
        raise ValueError("its record does not describe the images")
    fold = result.config["data"].get("fold")
    images: dict[str, dict[str, float]] = {}
    folds: dict[str, int] = {}
    for row in sorted(read_table(folder / "images.csv"), key=lambda row: row["name"]):
        images[row["name"]] = {key: float(value) for key, value in row.items() if key not in _META}
        folds[row["name"]] = int(row.get("fold") or (fold if isinstance(fold, int) else 0))
        missing = [score for score in _NEEDED if score not in images[row["name"]]]
        if missing:
            raise ValueError(f"images.csv has no column {missing[0]}")
    counted = result.data.images[Part.VAL] if fold != "all" else len(images)
    limit = result.config.get("trainer", {}).get("limit_val_batches")  # an image a batch
    counted = min(counted, limit) if isinstance(limit, int) else counted
    if not images or counted != len(images):
        raise ValueError(f"images.csv has {len(images)} images, the run validated {counted}")
    curve = [{key: float(text) for key, text in row.items() if text} for row in read_table(folder / "metrics.csv")]
    return Run(name, (folder,), result, images, folds, curve, _evaluations(folder, problems))


def _evaluations(folder: Path, problems: list[str]) -> list[dict[str, Any]]:
    rows = []
    for path in sorted((folder / EVALUATIONS).glob("*.json")):
        try:
            for row in json.loads(path.read_text(encoding="utf-8")):
                rows.append({**row, **{key: kind(row[key]) for key, kind in _EVALUATED.items()}})
        except (OSError, ValueError, KeyError, TypeError) as error:
            problems.append(f"{path}: left out, it is damaged ({_say(error)}): evaluate again")
    return rows


def _say(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"no entry {text}" if isinstance(error, KeyError) else text


def _join_folds(runs: Sequence[Run]) -> list[Run]:
    """Make one run of those that differ in their fold alone, as ``-m data.fold=0,1,2`` leaves them."""
    alike: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        of_one_fold = run.fold is not None and run.result.config["data"].get("folds")
        about = [run.sweep, run.levels, _apart_from_fold(run)] if of_one_fold else run.name
        alike[json.dumps(about, sort_keys=True)].append(run)
    joined = []
    for parts in alike.values():
        one_each = len(parts) > 1 and len({part.fold for part in parts}) == len(parts)
        joined += [_joined(parts)] if one_each else parts
    return joined


def _apart_from_fold(run: Run) -> dict[str, Any]:
    config = {key: value for key, value in run.result.config.items() if key not in ("run_dir", "seed", "callbacks")}
    return config | {"data": {key: value for key, value in config["data"].items() if key != "fold"}}


def _joined(parts: Sequence[Run]) -> Run:
    parts = sorted(parts, key=lambda part: part.fold or 0)
    first = parts[0].result
    numbers = ", ".join(str(part.fold) for part in parts)
    start = parts[0].name.rstrip("_0123456789")
    result = replace(
        first,
        seconds=sum(part.result.seconds for part in parts),
        train_seconds=sum(part.result.train_seconds for part in parts),
        command="; ".join(str(part.result.command) for part in parts),
    )
    images = {name: scores for part in parts for name, scores in part.images.items()}
    folds = {name: fold for part in parts for name, fold in part.folds.items()}
    return Run(
        f"{start} (folds {numbers})",
        tuple(folder for part in parts for folder in part.folders),
        result,
        dict(sorted(images.items())),
        folds,
        over_folds_by_epoch([part.curve for part in parts]),
        [row for part in parts for row in part.evaluations],
    )


def _comparisons(runs: Sequence[Run]) -> list[Comparison]:
    """Sort runs into comparisons, the one with the most runs first."""
    found: dict[tuple[Any, ...], Comparison] = {}
    for run in runs:
        result = run.result
        shrink = result.config["data"].get("shrink") if result.scale == 1 else None
        about = (str(result.protocol), result.scale, run.data.fingerprint, shrink)
        found.setdefault((*about, tuple(run.images)), Comparison(*about)).runs.append(run)
    return sorted(found.values(), key=lambda one: -len(one.runs))
