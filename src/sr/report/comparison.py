"""Group runs into comparisons: only runs with scores of the same images under the same protocol share a table."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sr.report.folders import read_runs
from sr.report.run import Run
from sr.runs.scores import over_folds_by_epoch
from sr.runs.status import Cell

_MAY_DIFFER = ("run_dir", "seed", "callbacks")  # between the folds of one training; see `_config_without_fold`


@dataclass
class Comparison:
    """Runs that were scored on the same images under the same protocol.

    Attributes:
        protocol: ``rgb`` or ``y``.
        scale: factor between input and output.
        fingerprint: hash of the names and contents of the images.
        shrink: factor of the degradation at scale 1, if ``low_res/`` does not hold the inputs.
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
class Comparisons:
    """Everything in a folder that a report is about.

    Attributes:
        comparisons: the finished runs, the comparison with the most runs first.
        unfinished: the other runs, planned ones included.
        problems: one line for each file that could not be read.
    """

    comparisons: list[Comparison]
    unfinished: list[Cell]
    problems: list[str]


def find_comparisons(folder: Path) -> Comparisons:
    """Read the runs below a folder, join folds that were trained as runs of their own, and group the runs.

    Raises:
        UserError: if there is no finished run.
    """
    contents = read_runs(folder)
    return Comparisons(_group(_join_folds(contents.runs)), contents.unfinished, contents.problems)


def _group(runs: Sequence[Run]) -> list[Comparison]:
    comparisons: dict[tuple[Any, ...], Comparison] = {}
    for run in runs:
        result = run.result
        shrink = result.config["data"].get("shrink") if result.scale == 1 else None
        conditions = (str(result.protocol), result.scale, run.data.fingerprint, shrink)
        comparisons.setdefault((*conditions, tuple(run.images)), Comparison(*conditions)).runs.append(run)
    return sorted(comparisons.values(), key=lambda comparison: -len(comparison.runs))


def _join_folds(runs: Sequence[Run]) -> list[Run]:
    """Join runs that differ in their fold alone, as ``-m data.fold=0,1,2`` leaves them.

    Runs that repeat a fold stay apart: nobody can tell which of them belong together.
    """
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        identity = run.name if run.result.fold is None else [run.sweep, run.levels, _config_without_fold(run)]
        groups[json.dumps(identity, sort_keys=True)].append(run)
    joined = []
    for group in groups.values():
        distinct = {run.result.fold for run in group}
        joined += [_join(group)] if len(group) > 1 and len(distinct) == len(group) else group
    return joined


def _config_without_fold(run: Run) -> dict[str, Any]:
    config = {name: value for name, value in run.result.config.items() if name not in _MAY_DIFFER}
    return config | {"data": {name: value for name, value in config["data"].items() if name != "fold"}}


def _join(runs: Sequence[Run]) -> Run:
    runs = sorted(runs, key=lambda run: run.result.fold or 0)
    result = replace(
        runs[0].result,
        seconds=sum(run.result.seconds for run in runs),
        train_seconds=sum(run.result.train_seconds for run in runs),
        command="; ".join(str(run.result.command) for run in runs),
    )
    images = {name: scores for run in runs for name, scores in run.images.items()}
    return Run(
        name=f"{runs[0].name.rstrip('_0123456789')} (folds {', '.join(str(run.result.fold) for run in runs)})",
        folders=tuple(folder for run in runs for folder in run.folders),
        result=result,
        images=dict(sorted(images.items())),
        folds={name: fold for run in runs for name, fold in run.folds.items()},
        curve=over_folds_by_epoch([run.curve for run in runs]),
        evaluations=[evaluation for run in runs for evaluation in run.evaluations],
    )
