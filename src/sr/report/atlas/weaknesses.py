"""Where a configuration falls behind the others by more than it does elsewhere: the findings of a report."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sr.report.atlas.panels import Panel, kind_of
from sr.report.components import Flags, Values
from sr.report.statistics import ALPHA
from sr.terms import MetricInfo

_LEAST = 3  # photographs of a group, and of the rest
_LEAST_FOR_THIRDS = 9  # photographs


@dataclass(frozen=True)
class Weakness:
    """A configuration that is weak in one place, a degradation or a group of photographs.

    All amounts have the sign that makes more the worse.

    Attributes:
        configuration: its name.
        place: where, in words.
        data: the data sets.
        deficit: how far it is behind the median of the other configurations there, or the input if there is no other.
        change: how much further it is behind there than elsewhere.
        least: lower bound of ``change`` that holds for all places of the report together, with 95 %.
        photographs: number of photographs there.
        trainings: number of its trainings.
        others: what it is compared with, in words.
        metric: that of the amounts.
    """

    configuration: str
    place: str
    data: str
    deficit: float
    change: float
    least: float
    photographs: int
    trainings: int
    others: str
    metric: MetricInfo

    @property
    def text(self) -> str:
        """All of it in a sentence or two."""
        deficit, change, least = (self.metric.text(value) for value in (self.deficit, self.change, self.least))
        trained = "" if self.trainings > 1 else " It was trained once: this is about these weights."
        return (
            f"{self.configuration} is weak {self.place} ({self.data}, {_counted(self.photographs, 'photograph')}): "
            f"{deficit} behind {self.others}, which is {change} (at least {least}) further than elsewhere.{trained}"
        )


@dataclass(frozen=True)
class Findings:
    """The weaknesses of a report, and how many places were examined.

    Attributes:
        weaknesses: the largest first.
        examined: number of pairs of a configuration and a place.
    """

    weaknesses: Sequence[Weakness]
    examined: int


@dataclass(frozen=True)
class _Pool:
    """The panels that share configurations and degradations, as arrays; more is the better.

    Attributes:
        panels: whose photographs are joined.
        metric: how to show it.
        matters: differences up to this do not.
        scores: ``(C, D, P)``.
        inputs: ``(D, P)``.
        trainings: ``(T, D, P)`` of each configuration.
        photographs: the number of its panel, and the name, of each photograph.
    """

    panels: Sequence[Panel]
    metric: MetricInfo
    matters: float
    scores: Values
    inputs: Values
    trainings: Sequence[Values]
    photographs: Sequence[tuple[int, str]]

    @property
    def names(self) -> Sequence[str]:
        return self.panels[0].names

    def others(self, number: int) -> Values:
        """What a configuration is compared with ``(D, P)``: the median of the others, or the input."""
        rest = np.delete(self.scores, number, axis=0)
        others: Values = np.median(rest, axis=0) if len(rest) else self.inputs
        return others


@dataclass(frozen=True)
class _Place:
    """A place: a degradation, or a group of photographs ``(P,)``."""

    text: str
    degradation: int | None = None
    group: Flags | None = None


@dataclass(frozen=True)
class _Estimate:
    """A mean with its squared standard error and degrees of freedom."""

    mean: float
    variance: float
    df: float

    def least(self, alpha: float) -> float:
        """Lower bound of a one-sided interval."""
        return self.mean - float(stats.t.ppf(1 - alpha, self.df)) * math.sqrt(self.variance)


@dataclass(frozen=True)
class _Case:
    """A configuration in a place: how far it is behind there, and how much further than elsewhere."""

    pool: _Pool
    number: int
    place: _Place
    deficit: float
    change: _Estimate


def find_weaknesses(panels: Sequence[Panel], score: str, rope: float | None = None) -> Findings:
    """Examine each configuration under each degradation and on each group of photographs.

    In each photograph, a configuration stands where its score is relative to the median of the others (to the input if
    it is alone). It is weak in a place if it is behind there by more than what matters in practice, and further behind
    than elsewhere by more than that: the latter with a one-sided lower bound over photographs. Bounds are Student's,
    with the level divided by the number of all cases that are examined (Bonferroni), so that all of them hold together
    with 95 %. The weaknesses are sorted by this bound.

    Elsewhere means: its median over all degradations, photograph by photograph, which a single one does not move; or
    the rest of the photographs, for groups of at most half of them (Welch's standard error). Trainings add their
    variance where there are several.

    Args:
        panels: what was scored; those with the same configurations and degradations are joined.
        score: the metric; PSNR where a configuration lacks it.
        rope: differences up to this do not matter; None: that of the metric.
    """
    cases: list[_Case] = []
    for joined in _joined(panels):
        metric = score if all(score in panel.metrics for panel in joined) else "psnr"
        info = joined[0].metrics[metric]
        matters = info.rope if rope is None or metric != score else rope
        cases += _cases(_pool(joined, metric, info, matters))
    found = []
    for case in cases:
        least = case.change.least(ALPHA / len(cases))
        if min(least, case.deficit) > case.pool.matters:
            found.append(_weakness(case, least))
    return Findings(sorted(found, key=lambda entry: -entry.least), len(cases))


def _joined(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Panels with the same configurations and degradations under the same conditions; not validation images."""
    groups: dict[object, list[Panel]] = defaultdict(list)
    for number, panel in enumerate(panels):
        first = panel.comparisons[0]
        own = number if panel.is_validation else (first.protocol, first.scale, first.shrink)
        groups[own, tuple(panel.names), tuple(panel.degradations)].append(panel)
    return list(groups.values())


def _pool(panels: Sequence[Panel], metric: str, info: MetricInfo, matters: float) -> _Pool:
    names, sign = panels[0].names, 1 if info.higher_is_better else -1
    by_training = [[panel.by_training(name, metric) for panel in panels] for name in names]
    fewest = [min(len(of_panel) for of_panel in of_name) for of_name in by_training]
    return _Pool(
        panels,
        info,
        matters,
        sign * np.concatenate([panel.scores(metric) for panel in panels], axis=-1),
        sign * np.concatenate([panel.inputs(metric) for panel in panels], axis=-1),
        [
            sign * np.concatenate([of_panel[:count] for of_panel in of_name], axis=-1)
            for of_name, count in zip(by_training, fewest, strict=True)
        ],
        [(number, name) for number, panel in enumerate(panels) for name in panel.photographs],
    )


def _cases(pool: _Pool) -> Iterator[_Case]:
    for place in _places(pool):
        for number in range(len(pool.names)):
            others = pool.others(number)
            by_training = pool.trainings[number] - others
            standing = pool.scores[number] - others  # (D, P)
            if np.isnan(standing).any():
                continue
            means = [_change(row, place).mean for row in by_training if not np.isnan(row).any()]
            change = _with_trainings(_change(standing, place), means)
            yield _Case(pool, number, place, _deficit(standing, place), change)


def _deficit(standing: Values, place: _Place) -> float:
    """How far a configuration that stands at ``(D, P)`` is behind in a place."""
    if place.degradation is not None:
        return -float(standing[place.degradation].mean())
    return -float(np.median(standing, axis=0)[place.group].mean())


def _change(standing: Values, place: _Place) -> _Estimate:
    """How much further behind it is there than elsewhere."""
    middle = np.median(standing, axis=0)
    if place.degradation is not None:
        return _mean(middle - standing[place.degradation])
    there, rest = _mean(-middle[place.group]), _mean(-middle[~place.group])  # type: ignore[operator]
    return _combined(there.mean - rest.mean, [there, rest])


def _mean(values: Values) -> _Estimate:
    return _Estimate(float(values.mean()), float(values.var(ddof=1)) / len(values), len(values) - 1)


def _with_trainings(estimate: _Estimate, means: Sequence[float]) -> _Estimate:
    if len(means) < 2:
        return estimate
    return _combined(estimate.mean, [estimate, _mean(np.array(means))])


def _combined(mean: float, parts: Sequence[_Estimate]) -> _Estimate:
    """A mean whose variance is a sum, with the degrees of freedom of Satterthwaite (1946)."""
    variance = sum(part.variance for part in parts)
    doubt = sum(part.variance**2 / part.df for part in parts)
    return _Estimate(mean, variance, variance**2 / doubt if doubt else sum(part.df for part in parts))


def _places(pool: _Pool) -> Iterator[_Place]:
    degradations = pool.panels[0].degradations
    if len(degradations) > 1 and len(pool.photographs) >= _LEAST:
        for number, name in enumerate(degradations):
            yield _Place(f"under {name}", degradation=number)
    count = len(pool.photographs)
    seen: set[bytes] = set()
    for text, group in _groups(pool):
        size = int(group.sum())
        if size >= _LEAST and size <= count / 2 and group.tobytes() not in seen:
            seen.add(group.tobytes())
            yield _Place(text, group=group)


def _groups(pool: _Pool) -> Iterator[tuple[str, Flags]]:
    """Data sets, photographs with the same folder or first part of their names, and thirds by difficulty."""
    owners = np.array([number for number, _ in pool.photographs])
    if len(pool.panels) > 1:
        for number, panel in enumerate(pool.panels):
            yield f"on {panel.data_set}", owners == number
    kinds = np.array([kind_of(name) for _, name in pool.photographs])
    for kind in sorted(set(kinds.tolist()) - {""}):
        yield f"on photographs named {kind}", kinds == kind
    if len(kinds) >= _LEAST_FOR_THIRDS:
        difficulty = np.median(pool.inputs, axis=0).argsort(kind="stable").argsort(kind="stable")
        third = len(kinds) // 3
        yield "on the hardest third of the photographs", difficulty < third
        yield "on the easiest third of the photographs", difficulty >= len(kinds) - third


def _weakness(case: _Case, least: float) -> Weakness:
    pool, place = case.pool, case.place
    count = len(pool.photographs) if place.group is None else int(place.group.sum())
    rest = len(pool.names) - 1
    return Weakness(
        configuration=pool.names[case.number],
        place=place.text,
        data=", ".join(panel.data_set or "validation images" for panel in pool.panels),
        deficit=case.deficit,
        change=case.change.mean,
        least=least,
        photographs=count,
        trainings=len(pool.trainings[case.number]),
        others=("its input" if not rest else "the other one" if rest == 1 else f"the median of the {rest} others"),
        metric=pool.metric,
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
