"""Scores of configurations on the photographs of a data set, under one degradation or several."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from sr.report.benchmarks import Benchmark
from sr.report.comparison import Comparison
from sr.report.components import Values
from sr.report.run import Configuration
from sr.terms import BASELINES, MetricInfo

Training: TypeAlias = tuple[Path, ...]  # its folders, by which it is known

_AS_STORED = "as stored"  # the low resolution comes from files, or how it was made is not recorded


@dataclass(frozen=True)
class Panel:
    """The same configurations on the same photographs, under one degradation or several.

    Attributes:
        title: name of the data set, and the conditions of its scores.
        data_set: its name; empty for the validation images of runs.
        comparisons: one for each degradation.
        degradations: their names.
        names: of the configurations that have the same trainings scored under all of them, in order.
        left_out: names of the others.
        photographs: names of what all have scores of, in order.
    """

    title: str
    data_set: str
    comparisons: Sequence[Comparison]
    degradations: Sequence[str]
    names: Sequence[str]
    left_out: Sequence[str]
    photographs: Sequence[str]

    @property
    def is_validation(self) -> bool:
        """Whether these are the validation images of runs, whose folders keep crops of them."""
        return not self.data_set

    @property
    def is_empty(self) -> bool:
        """Whether no configuration was scored under all degradations."""
        return not self.names

    @property
    def contents(self) -> frozenset[str]:
        """What its images are known by, whatever their set is called."""
        return _contents(self.comparisons[0])

    @property
    def metrics(self) -> dict[str, MetricInfo]:
        """How to show the metrics that all of its configurations have everywhere, by name."""
        every = [self.configuration(comparison, name) for comparison in self.comparisons for name in self.names]
        first, *others = [entry.metrics for entry in every]
        return {name: info for name, info in first.items() if all(name in other for other in others)}

    def configuration(self, comparison: Comparison, name: str) -> Configuration:
        """The configuration of a name."""
        return next(entry for entry in comparison.configurations if entry.name == name)

    def scores(self, metric: str) -> Values:
        """Scores ``(C, D, P)`` of each configuration, degradation and photograph, means over trainings and images."""
        return np.array([self._over_trainings(name, metric) for name in self.names])

    def trainings(self, name: str) -> list[Training]:
        """The trainings of a configuration that were scored under all degradations, in order."""
        return _common_trainings([self.configuration(comparison, name) for comparison in self.comparisons])

    def by_training(self, name: str, metric: str, trainings: Sequence[Training]) -> Values:
        """Scores ``(T, D, P)`` of a configuration by training; nan where a training did not validate a photograph."""
        scores = np.full((len(trainings), len(self.comparisons), len(self.photographs)), np.nan)
        for d, comparison in enumerate(self.comparisons):
            runs = {run.folders: run for run in self.configuration(comparison, name).runs}
            for t, folders in enumerate(trainings):
                of_images = {image: row[metric] for image, row in runs[folders].images.items()}
                scores[t, d] = self._means(comparison, of_images)
        return scores

    def inputs(self, metric: str) -> Values:
        """Scores ``(D, P)`` of the first baseline, bicubic interpolation."""
        column = f"{BASELINES[0].prefix}_{metric}"
        rows = []
        for comparison in self.comparisons:
            of_images = {
                image: row[column] for run in comparison.runs for image, row in run.images.items() if column in row
            }
            rows.append(self._means(comparison, of_images))
        return np.array(rows)

    def images_of(self, photograph: str) -> list[str]:
        """The images of a photograph in the first comparison."""
        first = self.comparisons[0]
        return [image for image, group in self._groups[id(first)].items() if group == photograph]

    @cached_property
    def _groups(self) -> dict[int, dict[str, str]]:
        """The photograph of each image of a comparison, by its identity."""
        return {id(comparison): comparison.groups for comparison in self.comparisons}

    def _over_trainings(self, name: str, metric: str) -> Values:
        """Means ``(D, P)`` over the trainings that were scored under all degradations."""
        kept, rows = set(self.trainings(name)), []
        for comparison in self.comparisons:
            entry = self.configuration(comparison, name)
            entry = replace(entry, runs=tuple(run for run in entry.runs if run.folders in kept))
            rows.append(self._means(comparison, {image: entry.mean_of_image(image, metric) for image in entry.images}))
        return np.array(rows)

    def _means(self, comparison: Comparison, of_images: Mapping[str, float]) -> Values:
        """Means over the images of each photograph; nan where there is none."""
        by_photograph: dict[str, list[float]] = defaultdict(list)
        groups = self._groups[id(comparison)]
        for image, value in of_images.items():
            by_photograph[groups[image]].append(value)
        return np.array(
            [np.mean(by_photograph[name]) if name in by_photograph else np.nan for name in self.photographs]
        )


def panels_of(comparisons: Sequence[Comparison], benchmarks: Sequence[Benchmark]) -> list[Panel]:
    """A panel for each comparison of runs, and one for each data set that `sr evaluate` scored, with its degradations.

    Degradations of a data set share a panel; a set is known by its images, not by its name. A panel is of the
    configurations that have the same trainings under all of its degradations, and is empty if there is none.
    """
    panels = [_panel([comparison]) for comparison in comparisons]
    for benchmark in benchmarks:
        by_set: dict[tuple[frozenset[str], ...], list[Comparison]] = defaultdict(list)
        for comparison in benchmark.sets:
            by_set[_contents(comparison), frozenset(comparison.groups)].append(comparison)
        panels += [_panel(part) for of_set in by_set.values() for part in _without_repeats(of_set)]
    titles = Counter(panel.title for panel in panels)
    return [
        panel if titles[panel.title] == 1 else replace(panel, title=f"{panel.title} [{_hash_of(panel)}]")
        for panel in panels
    ]


def _contents(comparison: Comparison) -> frozenset[str]:
    """What the images of a set are known by: hashes of their high resolution, or their names in their set."""
    data_set = comparison.data_set or comparison.label
    return comparison.contents or frozenset(f"{data_set}/{name}" for name in comparison.groups)


def _without_repeats(comparisons: Sequence[Comparison]) -> list[list[Comparison]]:
    """Comparisons in parts of which none has a degradation twice, as stored low resolution of two kinds would."""
    parts: list[list[Comparison]] = []
    for comparison in comparisons:
        key = comparison.degraded_by
        part = next((part for part in parts if all(other.degraded_by != key for other in part)), None)
        if part is None:
            parts.append(part := [])
        part.append(comparison)
    return parts


def _hash_of(panel: Panel) -> str:
    return panel.comparisons[0].fingerprint[:8]


def _panel(comparisons: Sequence[Comparison]) -> Panel:
    names = list(dict.fromkeys(entry.name for comparison in comparisons for entry in comparison.configurations))
    by_name = [{entry.name: entry for entry in comparison.configurations} for comparison in comparisons]
    shared = [
        name
        for name in names
        if all(name in entries for entries in by_name) and _common_trainings([entries[name] for entries in by_name])
    ]
    photographs = set.intersection(*(set(comparison.groups.values()) for comparison in comparisons))
    first = comparisons[0]
    data_set = first.data_set or first.label
    conditions = f"scale {first.scale}, protocol {first.protocol}"
    return Panel(
        title=f"{data_set}, {conditions}" if data_set else first.title,
        data_set=data_set,
        comparisons=comparisons,
        degradations=labels_of([(comparison.degradation, comparison.degraded_by) for comparison in comparisons]),
        names=shared,
        left_out=[name for name in names if name not in shared],
        photographs=sorted(photographs),
    )


def _common_trainings(entries: Sequence[Configuration]) -> list[Training]:
    """The trainings of a configuration that it has everywhere, known by their folders."""
    first, *others = [[run.folders for run in entry.runs] for entry in entries]
    return [folders for folders in first if all(folders in other for other in others)]


def labels_of(degradations: Sequence[tuple[str, str]]) -> list[str]:
    """Names of degradations, given as names and keys: with the key where two have the same name.

    >>> labels_of([("jpeg", "jpeg(quality=[30, 95])"), ("blur", "blur(...)"), ("jpeg", "jpeg(quality=[10, 20])")])
    ['jpeg(quality=[30, 95])', 'blur', 'jpeg(quality=[10, 20])']
    """
    names = [name for name, _ in degradations]
    return [(name if names.count(name) == 1 else key) or _AS_STORED for name, key in degradations]


def kind_of(name: str) -> str:
    """What a photograph's name says of its kind: its folder, and the words in front of a number.

    >>> kind_of("text_012"), kind_of("faces/a"), kind_of("101085"), kind_of("baby")
    ('text', 'faces', '', '')
    """
    folder, _, stem = name.rpartition("/")
    found = re.fullmatch(r"([^\W\d](?:.*?[^\W\d_])??)[\W_]*\d+", stem)
    return "/".join(filter(None, [folder, found[1] if found else ""]))
