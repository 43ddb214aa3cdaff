"""Group configurations into comparisons: only scores of the same images under the same protocol share a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sr.errors import counted
from sr.report.configurations import find_configurations
from sr.report.folders import FolderContents, read_runs
from sr.report.run import Configuration, Contender, Run
from sr.runs.status import Cell
from sr.terms import BASELINES, DEFAULT_METRICS, MetricInfo

_SAME_INPUT = 0.01  # dB


@dataclass(frozen=True)
class Comparison:
    """Configurations that were scored on the same images under the same protocol.

    Attributes:
        protocol: ``rgb`` or ``y``.
        scale: factor between input and output.
        fingerprint: hash of the names and contents of the images.
        shrink: factor of the degradation at scale 1, if ``low_res/`` does not hold the inputs.
        configurations: at least one.
        label: name of the benchmark set, or of several; empty for the validation images of the runs.
        data_set: name of the set without that of the degradation.
        degradation: name of what made its low resolution, where that is recorded.
        degraded_by: key of it.
        contents: hashes of the high resolution of its images, by which a set is known whatever it is called.
    """

    protocol: str
    scale: int
    fingerprint: str
    shrink: int | None
    configurations: Sequence[Configuration]
    label: str = ""
    data_set: str = ""
    degradation: str = ""
    degraded_by: str = ""
    contents: frozenset[str] = frozenset()

    @property
    def runs(self) -> list[Run]:
        """The runs of all configurations."""
        return [run for configuration in self.configurations for run in configuration.runs]

    @property
    def metrics(self) -> dict[str, MetricInfo]:
        """How to show the metrics that any of its configurations has, by name: PSNR and SSIM first."""
        found = {name: info for entry in self.configurations for name, info in entry.metrics.items()}
        return {name: found[name] for name in (*DEFAULT_METRICS, *found) if name in found}

    @property
    def groups(self) -> dict[str, str]:
        """The photograph of each image, from any run whose table names it."""
        groups = {name: name for name in self.configurations[0].images}
        for run in self.runs:
            groups |= {name: group for name, group in run.groups.items() if group != name}
        return groups

    @property
    def photographs(self) -> int:
        """Number of photographs that the images are of."""
        return len(set(self.groups.values()))

    @property
    def title(self) -> str:
        """What all its runs have in common, in one line."""
        images = counted(len(self.configurations[0].images), "image")
        if self.photographs != len(self.configurations[0].images):
            images += f" of {counted(self.photographs, 'photograph')}"
        label = f"{self.label}: " if self.label else ""
        kind = f", {self.runs[0].pixels}" if self.runs and self.runs[0].pixels and not self.label else ""
        return f"{label}{images}{kind}, scale {self.scale}, protocol {self.protocol}, data {self.fingerprint[:8]}"


@dataclass(frozen=True)
class Comparisons:
    """Everything in some folders that a report is about.

    Attributes:
        comparisons: the finished runs, the comparison with the most configurations first.
        unfinished: the other runs, planned ones included.
        problems: one line for each file that could not be read.
        repeats: one line for each run that repeats another with the same seed, and is left out, or that was scored
            otherwise than the others, and has a table of its own.
        contenders: other programs, which compete on benchmark sets.
    """

    comparisons: list[Comparison]
    unfinished: list[Cell]
    problems: list[str]
    repeats: list[str]
    contenders: list[Contender]


def find_comparisons(folders: Sequence[Path]) -> Comparisons:
    """Read the runs below some folders, and group them into configurations and comparisons.

    Raises:
        UserError: if one of them has no finished run.
    """
    contents = FolderContents()
    for folder in _without_overlap(folders):
        read_runs(folder, contents, prefix=f"{folder.as_posix()}/" if len(folders) > 1 else "")
    repeats: list[str] = []
    comparisons = _group(contents.runs, repeats)
    return Comparisons(comparisons, contents.unfinished, contents.problems, repeats, contents.contenders)


def _without_overlap(folders: Sequence[Path]) -> list[Path]:
    """The folders that do not lie in another one of them, each once."""
    distinct = {folder.resolve(): folder for folder in folders}
    return [folder for path, folder in distinct.items() if distinct.keys().isdisjoint(path.parents)]


def _group(runs: Sequence[Run], repeats: list[str]) -> list[Comparison]:
    by_data: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        result = run.result
        shrink = result.config["data"].get("shrink") if result.scale == 1 else None
        conditions = (str(result.protocol), result.scale, run.data.fingerprint, shrink)
        by_data.setdefault(conditions, []).append(run)
    comparisons = []
    for conditions, of_data in by_data.items():
        first, *others = _scored_alike(of_data)
        repeats += [
            f"{run.name}: the same input has other scores than in {first[0].name}, as gray files have that earlier "
            "versions scored by their luma: it has a table of its own; retrain=true scores it anew"
            for group in others
            for run in group
        ]
        for alike in (first, *others):
            by_images: dict[tuple[str, ...], list[Run]] = {}
            for configuration in find_configurations(alike, repeats):
                by_images.setdefault(tuple(configuration.images), []).extend(configuration.runs)
            # Names tell apart what shares a table, so they are chosen anew for each.
            comparisons += [Comparison(*conditions, find_configurations(group, [])) for group in by_images.values()]
    return sorted(comparisons, key=lambda comparison: -len(comparison.configurations))


def _scored_alike(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs by how they score: those that give the inputs of the same images the same PSNR, the most of them first."""
    groups: list[list[Run]] = []
    for run in runs:
        same = next((group for group in groups if _same_inputs(group[0], run)), None)
        if same is None:
            groups.append([run])
        else:
            same.append(run)
    return sorted(groups, key=lambda group: -len(group))


def _same_inputs(first: Run, second: Run) -> bool:
    score = f"{BASELINES[0].prefix}_psnr"
    shared = [name for name in first.images if name in second.images]
    return all(abs(first.images[name][score] - second.images[name][score]) < _SAME_INPUT for name in shared)
