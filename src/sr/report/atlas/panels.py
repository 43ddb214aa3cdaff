"""Scores of configurations on the photographs of a data set, under one degradation or several."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sr.report.benchmarks import Benchmark
from sr.report.comparison import Comparison
from sr.report.components import Values
from sr.report.run import Configuration
from sr.terms import BASELINES, MetricInfo

_AS_STORED = "as stored"  # the low resolution comes from files, or how it was made is not recorded


@dataclass(frozen=True)
class Panel:
    """The same configurations on the same photographs, under one degradation or several.

    Attributes:
        title: name of the data set, and the conditions of its scores.
        data_set: its name; empty for the validation images of runs.
        comparisons: one for each degradation.
        degradations: their names.
        names: of the configurations that were scored under all of them, in order.
        left_out: names of those that were not.
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
        return np.array(
            [
                [self._of_photographs(comparison, self.configuration(comparison, name), metric) for name in self.names]
                for comparison in self.comparisons
            ]
        ).swapaxes(0, 1)

    def by_training(self, name: str, metric: str) -> Values:
        """Scores ``(T, D, P)`` of a configuration by training; nan where a training did not validate a photograph.

        T is the least number of trainings that any degradation has scores of.
        """
        entries = [(comparison, self.configuration(comparison, name)) for comparison in self.comparisons]
        count = min(len(entry.runs) for _, entry in entries)
        scores = np.full((count, len(entries), len(self.photographs)), np.nan)
        for d, (comparison, entry) in enumerate(entries):
            for t, run in enumerate(entry.runs[:count]):
                of_images = {image: row[metric] for image, row in run.images.items()}
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

    def _of_photographs(self, comparison: Comparison, entry: Configuration, metric: str) -> Values:
        return self._means(comparison, {image: entry.mean_of_image(image, metric) for image in entry.images})

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

    Degradations of a data set share a panel. Of those, a panel has the configurations that all have, or those that most
    have if there are none.
    """
    panels = [_panel([comparison]) for comparison in comparisons]
    for benchmark in benchmarks:
        by_set: dict[str, list[Comparison]] = defaultdict(list)
        for comparison in benchmark.sets:
            by_set[comparison.data_set or comparison.label].append(comparison)
        panels += [_panel(of_set) for of_set in by_set.values()]
    return [panel for panel in panels if panel.names and panel.photographs]


def _panel(comparisons: Sequence[Comparison]) -> Panel:
    names = list(dict.fromkeys(entry.name for comparison in comparisons for entry in comparison.configurations))
    shared = [
        name
        for name in names
        if all(name in {entry.name for entry in comparison.configurations} for comparison in comparisons)
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
