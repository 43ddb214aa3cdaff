"""Scores of the same configurations on several data sets as arrays, and what each configuration is compared with."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sr.report.atlas.panels import Panel
from sr.report.components import Flags, Values
from sr.terms import MetricInfo


@dataclass(frozen=True)
class Pool:
    """The panels that share configurations and degradations, as arrays; more is the better.

    Attributes:
        panels: whose photographs are joined.
        metric: how to show it.
        matters: differences up to this do not.
        names: of the configurations that have a score of every photograph.
        left_out: names of the others.
        scores: ``(C, D, P)``.
        inputs: ``(D, P)``.
        effects: ``(T, D, P)`` of each configuration, by how much each of its trainings is above the mean of them;
            without those that did not validate every photograph.
        is_fixed: ``(C,)``, whether a configuration is not trained here.
        photographs: the number of its panel, and the name, of each photograph.
    """

    panels: Sequence[Panel]
    metric: MetricInfo
    matters: float
    names: Sequence[str]
    left_out: Sequence[str]
    scores: Values
    inputs: Values
    effects: Sequence[Values]
    is_fixed: Flags
    photographs: Sequence[tuple[int, str]]

    def shares(self, number: int) -> Values:
        """How much of each configuration ``(C, D, P)`` is in what one is compared with, the median of the others.

        All zero where there is no other: it is compared with the input.
        """
        shares = np.zeros_like(self.scores)
        rest = np.delete(np.arange(len(self.names)), number)
        if len(rest):
            order = rest[self.scores[rest].argsort(axis=0, kind="stable")]
            for middle in {(len(rest) - 1) // 2, len(rest) // 2}:
                np.put_along_axis(shares, order[[middle]], 1 if len(rest) % 2 else 0.5, axis=0)
        return shares

    def standing(self, number: int, shares: Values) -> Values:
        """By how much a configuration is above what it is compared with ``(D, P)``."""
        others = (shares * self.scores).sum(axis=0) if len(self.names) > 1 else self.inputs
        standing: Values = self.scores[number] - others
        return standing

    def trained_once(self, number: int) -> bool:
        """Whether a configuration is trained here, but not repeatedly, so that its own effect is unknown."""
        return not self.is_fixed[number] and len(self.effects[number]) < 2


def joined(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Panels with the same configurations and degradations under the same conditions; not validation images.

    A photograph counts once: sets that share one, as a folder before and after it grew, are not joined.
    """
    groups: dict[object, list[list[Panel]]] = defaultdict(list)
    for number, panel in enumerate(panels):
        first = panel.comparisons[0]
        own = number if panel.is_validation else (first.protocol, first.scale, first.shrink)
        of_key = groups[own, tuple(panel.names), tuple(panel.degradations)]
        group = next((group for group in of_key if all(panel.contents.isdisjoint(o.contents) for o in group)), None)
        if group is None:
            of_key.append(group := [])
        group.append(panel)
    return [group for of_key in groups.values() for group in of_key]


def pool_of(panels: Sequence[Panel], metric: str, matters: float) -> Pool:
    """Join panels of the same configurations and degradations.

    Args:
        panels: at least one; all have the metric.
        metric: its name.
        matters: differences up to this do not.
    """
    first = panels[0]
    info = first.metrics[metric]
    sign = 1 if info.higher_is_better else -1
    scores = sign * np.concatenate([panel.scores(metric) for panel in panels], axis=-1)
    is_whole = ~np.isnan(scores).any(axis=(1, 2))
    kept = [name for name, whole in zip(first.names, is_whole, strict=True) if whole]
    return Pool(
        panels,
        info,
        matters,
        kept,
        [name for name in first.names if name not in kept],
        scores[is_whole],
        sign * np.concatenate([panel.inputs(metric) for panel in panels], axis=-1),
        [sign * _effects(panels, name, metric) for name in kept],
        np.array([first.configuration(first.comparisons[0], name).is_fixed for name in kept], dtype=bool),
        [(number, name) for number, panel in enumerate(panels) for name in panel.photographs],
    )


def _effects(panels: Sequence[Panel], name: str, metric: str) -> Values:
    """By how much each training is above their mean ``(T, D, P)``; of those that were scored everywhere."""
    first, *others = [panel.trainings(name) for panel in panels]
    trainings = [folders for folders in first if all(folders in other for other in others)]
    scores = np.concatenate([panel.by_training(name, metric, trainings) for panel in panels], axis=-1)
    scores = scores[~np.isnan(scores).any(axis=(1, 2))]
    effects: Values = scores - scores.mean(axis=0) if len(scores) else scores
    return effects
