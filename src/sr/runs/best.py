"""Choose the best run of a sweep, for whoever names the sweep where one trained model is needed."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.runs.schema import RunResult, read_result
from sr.runs.scores import unbeaten
from sr.runs.status import Standing, find_cells
from sr.terms import MetricInfo, Part, metrics_of

log = logging.getLogger(__name__)

_NAMED = 3  # cells that a message gives as examples


@dataclass(frozen=True)
class Best:
    """The best cell of a sweep.

    Attributes:
        folder: of the cell.
        description: how it was chosen, in one line.
        loses_to: the baselines that it does not beat on its validation images, in words.
        problems: one line for each cell that should have a score and weights, but has not.
    """

    folder: Path
    description: str
    loses_to: str
    problems: list[str]


@dataclass(frozen=True)
class _Candidate:
    """A finished cell, the value of its monitored score, and the names of its validation images."""

    folder: Path
    result: RunResult
    monitor: str
    value: float
    images: frozenset[str]


def model_path(name: str, *, quiet: bool = False) -> str:
    """What to load for the name of a model: the best cell of the folder of a sweep; else the name itself.

    Args:
        name: of a model, or the folder of a sweep.
        quiet: do not say which cell it is.

    Raises:
        UserError: if no cell of the sweep is finished, or they cannot be ranked.
    """
    path = Path(name)
    if not is_sweep(path):
        return name
    best = best_cell(path)
    if quiet:
        return str(best.folder)
    for line in (*best.problems, best.description):
        log.warning("%s", line)
    if best.loses_to:
        log.warning("WARNING: %s does not beat %s on the validation images", best.folder, best.loses_to)
    return str(best.folder)


def is_sweep(path: Path) -> bool:
    """Whether a folder holds runs, at any depth, without being one."""
    run = RunFolder(path)
    return path.is_dir() and not run.result.is_file() and not run.best_checkpoints and bool(RunFolder.below(path))


def best_cell(folder: Path) -> Best:
    """Choose the finished cell of a sweep whose monitored score is best; of equal ones the smallest, then by name.

    The score is that of the validation images, which chose the epoch as well: on other images expect a little less.

    Raises:
        UserError: if no cell is finished, or they cannot be ranked: those that can monitored the same score under the
            same protocol on the same validation images.
    """
    candidates, left_out, problems = _read_cells(folder)
    others = "".join(f"; {count} {status} left out" for status, count in sorted(left_out.items()))
    if not candidates:
        details = "".join(f"; {problem}" for problem in problems)
        raise UserError(f"{folder}: has no finished cell to use{others}{details}")
    _check_comparable(folder, candidates)
    sign = 1 if candidates[0].result.config.get("mode") == "min" else -1
    best = min(candidates, key=lambda cell: (sign * cell.value, cell.result.parameters))
    name = best.folder.relative_to(folder).as_posix()
    score = f"{best.monitor} {_shown(best)}"
    return Best(
        best.folder,
        f"{folder}: its best cell, {name}, {score} (best of {len(candidates)}{others})",
        unbeaten(best.result.scores.get(Part.VAL, {})),
        problems,
    )


def _shown(cell: _Candidate) -> str:
    """The value of the monitored score, a metric, the gain in dB of PSNR, or the loss."""
    metrics = metrics_of(cell.result.config)
    name = cell.monitor.removeprefix("val/")
    metric = metrics.get(name) or (metrics["psnr"] if name == "gain" else MetricInfo(name))
    return metric.text(cell.value)


def _read_cells(folder: Path) -> tuple[list[_Candidate], Counter[str], list[str]]:
    """The finished cells of a sweep, how many of the others there are of each status, and what is wrong with some."""
    candidates, left_out, problems = [], Counter[str](), []
    for cell in find_cells(folder):
        if cell.status is not Standing.DONE:
            left_out[cell.status.value] += 1
            problems += [cell.reason] if cell.status is Standing.DAMAGED else []
            continue
        try:
            candidates.append(_candidate(folder / cell.name))
        except UserError as error:
            left_out["unusable"] += 1
            problems.append(str(error))
    return candidates, left_out, problems


def _candidate(folder: Path) -> _Candidate:
    """A finished cell.

    Raises:
        UserError: if it has no weights, no score, or no readable table of validation images.
    """
    run, result = RunFolder(folder), read_result(folder)
    if not run.best_checkpoints:
        raise UserError(f"{folder}: is done, but its weights are missing")
    if result is None or result.monitor is None or result.monitor.value is None:
        raise UserError(f"{folder}: was never validated")
    try:
        images = frozenset(row["name"] for row in read_table(run.images))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{run.images}: cannot be read") from error
    return _Candidate(folder, result, result.monitor.name, result.monitor.value, images)


def _check_comparable(folder: Path, candidates: Sequence[_Candidate]) -> None:
    """Refuse cells whose scores are not of the same kind, or not of the same images."""
    differing = []
    for name, values in (
        ("monitor", {cell.monitor for cell in candidates}),
        ("mode", {cell.result.config.get("mode", "max") for cell in candidates}),
        ("protocol", {cell.result.protocol.value for cell in candidates}),
        ("scale", {cell.result.scale for cell in candidates}),
        ("data.shrink", {cell.result.config["data"].get("shrink") for cell in candidates if cell.result.scale == 1}),
    ):
        if len(values) > 1:
            differing.append(f"{name} ({', '.join(sorted(map(str, values)))})")
    if len({(cell.result.data and cell.result.data.fingerprint, cell.images) for cell in candidates}) > 1:
        differing.append("validation images")
    if differing:
        names = ", ".join(str(cell.folder) for cell in candidates[:_NAMED])
        raise UserError(
            f"{folder}: its cells cannot be ranked, they differ in {' and '.join(differing)}: name one, such as {names}"
        )
