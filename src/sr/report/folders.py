"""Read the runs below a folder; files that are damaged are listed and left out."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from sr.errors import UserError
from sr.io.hashes import files_hash
from sr.io.run_folder import RunFolder
from sr.io.tables import from_epoch_1, read_table
from sr.report.run import Contender, Evaluation, ImageScores, Run
from sr.runs.schema import RunResult, read_result
from sr.runs.status import Cell, Standing, find_cells
from sr.terms import DEFAULT_METRICS, Part, metrics_of

_NOT_SCORES = ("name", "group", "seed", "fold", "epoch")  # columns of an image table
_REQUIRED_SCORES = ("psnr", "ssim", "gain", "input_psnr", "input_ssim")
_DAMAGES = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    msgspec.ValidationError,
)  # raised by files that are not what they should be


@dataclass
class FolderContents:
    """The runs of a folder.

    Attributes:
        runs: the finished ones.
        unfinished: the others, planned ones included.
        problems: one line for each file that could not be read.
        contenders: programs whose finished pictures were scored.
    """

    runs: list[Run] = field(default_factory=list)
    unfinished: list[Cell] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    contenders: list[Contender] = field(default_factory=list)


def read_runs(folder: Path, contents: FolderContents, prefix: str = "") -> None:
    """Read every run below a folder, or the run that the folder itself holds.

    Args:
        folder: of a run, of a sweep, or of several.
        contents: gets what is found.
        prefix: of the names of its runs.

    Raises:
        UserError: if there is neither a finished run nor another program.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: name the folder of a run or of a sweep (hydra.sweep.dir)")
    runs: list[Run] = []
    problems: list[str] = []
    unfinished: list[Cell] = []
    try:
        cells = find_cells(folder)
    except UserError:  # no run at all
        cells = []
    for cell in cells:
        path = folder if RunFolder(folder).result.is_file() else folder / cell.name
        if cell.status is Standing.DAMAGED:
            problems.append(cell.reason)
            continue
        if cell.status is not Standing.DONE:
            unfinished.append(cell)
        of_cell: list[Run] = []
        for name, part in _trainings(prefix + cell.name, path):
            try:
                run = _read_run(name, part, problems)
                of_cell += [run] if run else []
            except _DAMAGES as error:
                reason = f"its tables are damaged ({_one_line(error)}): train it again with retrain=true"
                problems.append(f"{part}: left out, {reason}")
        if of_cell and RunFolder(path).seeds:  # scores of all its seeds together
            scores = _read_evaluations(RunFolder(path), problems)
            of_cell = [replace(run, evaluations=[*run.evaluations, *scores]) for run in of_cell]
        runs += of_cell
    contenders = _read_contenders(folder, problems)
    if not runs and not contenders:
        details = "".join(f"; {line}" for line in problems) or f", {len(unfinished)} unfinished: see sr status"
        raise UserError(f"{folder}: no finished run in it{details}")
    contents.runs += runs
    contents.contenders += contenders
    contents.problems += problems
    contents.unfinished += unfinished


def _read_contenders(folder: Path, problems: list[str]) -> list[Contender]:
    """What ``sr evaluate --record`` scored in a folder, at any depth."""
    contenders = []
    for path in sorted(folder.rglob(RunFolder(Path()).contender.name)):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            name = about["name"]
        except _DAMAGES as error:
            problems.append(f"{path}: left out, it is damaged ({_one_line(error)}): run sr evaluate again")
            continue
        evaluations = _read_evaluations(RunFolder(path.parent), problems)
        contenders.append(Contender(str(name), path.parent, evaluations, "outputs" in about))
    return contenders


def _trainings(name: str, path: Path) -> list[tuple[str, Path]]:
    """Names and folders of the runs of a cell: one for each seed, or the cell itself."""
    seeds = RunFolder(path).seeds
    return [(f"{name}/{seed.path.name}", seed.path) for seed in seeds] or [(name, path)]


def _read_run(name: str, path: Path, problems: list[str]) -> Run | None:
    """Read a run; None if it is not done."""
    folder, result = RunFolder(path), read_result(path)
    if result is None or not result.is_done:
        return None
    if result.data is None:
        raise ValueError(f"{folder.result.name} does not describe the images")
    images: dict[str, dict[str, float]] = {}
    undefined: Counter[str] = Counter()
    folds: dict[str, int] = {}
    groups: dict[str, str] = {}
    for row in sorted(read_table(folder.images), key=lambda row: row["name"]):
        scores = {column: float(value) for column, value in row.items() if column not in _NOT_SCORES and value != ""}
        missing = [score for score in _REQUIRED_SCORES if score not in scores]
        if missing:
            raise ValueError(f"{folder.images.name} has no column {missing[0]}")
        not_numbers = [score for score, value in scores.items() if math.isnan(value)]
        if required := [score for score in not_numbers if score in _REQUIRED_SCORES]:
            raise ValueError(f"{required[0]} of {row['name']} is not a number")
        undefined.update(not_numbers)
        images[row["name"]] = {score: value for score, value in scores.items() if score not in not_numbers}
        folds[row["name"]] = int(row.get("fold") or result.fold or 0)
        groups[row["name"]] = row.get("group") or row["name"]
    expected = _images_validated(result)
    if not images or expected not in (None, len(images)):
        raise ValueError(f"{folder.images.name} has {len(images)} images, the run validated {expected}")
    problems += [
        f"{folder.images}: {score} is not compared, it is not a number for {count} of {len(images)} images"
        for score, count in undefined.items()
    ]
    curve = [
        {column: float(text) for column, text in row.items() if text != ""}
        for row in from_epoch_1(read_table(folder.metrics))
    ]
    evaluations = _read_evaluations(folder, problems)
    return Run(name, (path,), result, images, folds, groups, curve, evaluations, metrics_of(result.config))


def _images_validated(result: RunResult) -> int | None:
    """Number of images that a run validated; None for a cross-validation, whose record has no total."""
    if result.fold_count is not None or result.data is None:
        return None
    count = result.data.images[Part.VAL]
    limit = result.config.get("trainer", {}).get("limit_val_batches")  # batches of one image, or the share of them
    if isinstance(limit, float):
        return int(count * limit)
    return count if limit is None else min(count, limit)


def _read_evaluations(folder: RunFolder, problems: list[str]) -> list[Evaluation]:
    evaluations = []
    hash_weights = cache(lambda: files_hash(files) if (files := folder.best_checkpoints) else None)
    for path in sorted(folder.evaluations.glob("*.json")):
        try:
            weights = hash_weights()
            rows = json.loads(path.read_text(encoding="utf-8"))
            if weights and any((row.get("weights") or weights) != weights for row in rows):  # else they were deleted
                problems.append(f"{path}: left out, the run has other weights by now: run sr evaluate again")
                continue
            for evaluation in (_evaluation(row, folder.path) for row in rows):
                numbers = _of_numbers(evaluation, path, problems)
                evaluations += [numbers] if numbers else []
        except (*_DAMAGES, AttributeError) as error:
            problems.append(f"{path}: left out, it is damaged ({_one_line(error)}): run sr evaluate again")
    return evaluations


def _evaluation(row: Mapping[str, Any], folder: Path) -> Evaluation:
    """An evaluation as `sr evaluate` writes it, checked against the types.

    Raises:
        ValueError: for a value that is missing, of another type, or not of every image.
    """
    evaluation = replace(msgspec.convert(row, Evaluation, strict=False), folder=folder)
    count = len(evaluation.names)
    for scores in (*evaluation.trainings.values(), *evaluation.baselines.values()):
        missing = [name for name in DEFAULT_METRICS if name not in scores]
        of_images = (evaluation.groups, evaluation.contents or evaluation.names, *scores.values())
        if missing or not all(len(values) == count for values in of_images):
            raise ValueError("an image lacks a score")
    return evaluation


def _of_numbers(evaluation: Evaluation, path: Path, problems: list[str]) -> Evaluation | None:
    """The scores without those that are not numbers, as of a network whose output is none; None if nothing is left.

    PSNR or SSIM of every image is needed; a training without it is left out. ``problems`` gets a line for each.
    """
    kept: dict[str, dict[str, ImageScores]] = {"trainings": {}, "baselines": {}}
    for kind, of_kind in (("trainings", evaluation.trainings), ("baselines", evaluation.baselines)):
        for name, scores in of_kind.items():
            undefined = {score: sum(map(math.isnan, values)) for score, values in scores.items()}
            undefined = {score: count for score, count in undefined.items() if count}
            needed = [score for score in undefined if score in DEFAULT_METRICS]
            for score, count in undefined.items():
                what = f"{path}: {evaluation.data}" + ("" if name == "." else f", {name}")
                fate = "left out" if needed else "not compared by it"
                label = evaluation.metrics[score].label if score in evaluation.metrics else score
                images = f"{count} of {len(evaluation.names)} images"
                problems.append(f"{what}: {fate}, {label} is not a number for {images}")
            if not needed:
                kept[kind][name] = {score: values for score, values in scores.items() if score not in undefined}
    if evaluation.trainings and not kept["trainings"]:
        return None
    return replace(evaluation, trainings=kept["trainings"], baselines=kept["baselines"])


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"no entry {text}" if isinstance(error, KeyError) else text
