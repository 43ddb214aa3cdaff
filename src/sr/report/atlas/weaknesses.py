"""Where a configuration falls behind the others by more than it does elsewhere: the findings of a report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sr.errors import counted, some_of
from sr.report.atlas.estimates import Estimate, combined, mean_of
from sr.report.atlas.panels import Panel, kind_of
from sr.report.atlas.pool import Pool, joined, pool_of
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
        trained_once: names of the configurations, itself or others, whose trainings' variance is unknown.
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
    trained_once: Sequence[str]
    others: str
    metric: MetricInfo

    @property
    def text(self) -> str:
        """All of it in a sentence or two."""
        deficit, change, least = (self.metric.text(value) for value in (self.deficit, self.change, self.least))
        once, were = some_of(self.trained_once), "was" if len(self.trained_once) == 1 else "were"
        trained = f" {once} {were} trained once: this is about these weights." if self.trained_once else ""
        return (
            f"{self.configuration} is weak {self.place} ({self.data}, {counted(self.photographs, 'photograph')}): "
            f"{deficit} behind {self.others}, which is {change} (at least {least}) further than elsewhere.{trained}"
        )


@dataclass(frozen=True)
class Findings:
    """The weaknesses of a report, and how many places were examined.

    Attributes:
        weaknesses: the largest first.
        examined: number of pairs of a configuration and a place.
        left_out: names of configurations that are not examined, since they lack a score of a photograph.
    """

    weaknesses: Sequence[Weakness]
    examined: int
    left_out: Sequence[str] = ()


@dataclass(frozen=True)
class _Place:
    """A place: a degradation, or a group of photographs ``(P,)``."""

    text: str
    degradation: int | None = None
    group: Flags | None = None


@dataclass(frozen=True)
class _Case:
    """A configuration in a place: how far it is behind there, and how much further than elsewhere."""

    pool: Pool
    number: int
    place: _Place
    deficit: float
    change: Estimate


def find_weaknesses(panels: Sequence[Panel], score: str, rope: float | None = None) -> Findings:
    """Examine each configuration under each degradation and on each group of photographs.

    In each photograph, a configuration stands where its score is relative to the median of the others (to the input if
    it is alone). It is weak in a place if it is behind there by more than what matters in practice, and further behind
    than elsewhere by more than that: the latter with a one-sided lower bound over photographs. Bounds are Student's,
    with the level divided by the number of all cases that are examined (Bonferroni), so that all of them hold together
    with 95 %. The weaknesses are sorted by this bound.

    Elsewhere means: its median over all degradations, photograph by photograph, which a single one does not move; or
    the rest of the photographs, for groups of at most half of them (Welch's standard error). Trainings add their
    variance, those of the configuration and those of the others that it is compared with, where there are several.

    Args:
        panels: what was scored; those with the same configurations and degradations are joined.
        score: the metric; PSNR where a configuration lacks it.
        rope: differences up to this do not matter; None: that of the metric.
    """
    cases: list[_Case] = []
    left_out: list[str] = []
    for group in joined(panels):
        metric = score if all(score in panel.metrics for panel in group) else "psnr"
        matters = group[0].metrics[metric].rope if rope is None or metric != score else rope
        pool = pool_of(group, metric, matters)
        left_out += pool.left_out
        cases += _cases(pool)
    found = []
    for case in cases:
        least = case.change.least(ALPHA / len(cases))
        if min(least, case.deficit) > case.pool.matters:
            found.append(_weakness(case, least))
    return Findings(sorted(found, key=lambda entry: -entry.least), len(cases), list(dict.fromkeys(left_out)))


def _cases(pool: Pool) -> Iterator[_Case]:
    places = list(_places(pool))
    for number in range(len(pool.names)):
        shares = pool.shares(number)
        standing = pool.standing(number, shares)
        weights = -shares
        weights[number] = 1
        for place in places:
            change = _change(standing, place)
            trainings = list(_of_trainings(pool, standing, weights, place))
            yield _Case(pool, number, place, _deficit(standing, place), combined(change.mean, [change, *trainings]))


def _of_trainings(pool: Pool, standing: Values, weights: Values, place: _Place) -> Iterator[Estimate]:
    """What the change of a configuration varies by if one that it depends on, itself included, is trained anew.

    Few trainings say little, so each is taken to vary as all do together, or as itself if that is more. One that was
    trained once borrows from the others; nothing is known if all were.

    Args:
        pool: the scores.
        standing: ``(D, P)``, of the configuration.
        weights: ``(C, D, P)``, of each configuration in it.
        place: that is examined.
    """
    repeated = [effects for effects in pool.effects if len(effects) > 1]
    if not repeated:
        return
    every = np.concatenate(repeated)
    df = len(every) - len(repeated)
    for other in np.flatnonzero(weights.any(axis=(1, 2)) & ~pool.is_fixed).tolist():
        own, count = pool.effects[other], max(1, len(pool.effects[other]))
        pooled = float(_apart(standing, weights[other] * every, place) / df)
        alone = float(_apart(standing, weights[other] * own, place) / (count - 1)) if count > 1 else 0.0
        yield Estimate(0.0, max(pooled, alone) / count, df if pooled >= alone else count - 1)


def _apart(standing: Values, effects: Values, place: _Place) -> Values:
    """Sum of squares of what the change in a place would be more or less with each of some effects ``(T, D, P)``."""
    changes = _changes(standing + effects, place) - _changes(standing[None], place)
    squares: Values = (changes**2).sum()
    return squares


def _changes(standings: Values, place: _Place) -> Values:
    """The change of each standing ``(T, D, P)``, ``(T,)``."""
    middle = np.median(standings, axis=1)
    if place.degradation is not None:
        changes: Values = (middle - standings[:, place.degradation]).mean(axis=1)
        return changes
    assert place.group is not None
    further: Values = middle[:, ~place.group].mean(axis=1) - middle[:, place.group].mean(axis=1)
    return further


def _deficit(standing: Values, place: _Place) -> float:
    """How far a configuration that stands at ``(D, P)`` is behind in a place."""
    if place.degradation is not None:
        return -float(standing[place.degradation].mean())
    return -float(np.median(standing, axis=0)[place.group].mean())


def _change(standing: Values, place: _Place) -> Estimate:
    """How much further behind it is there than elsewhere, as far as photographs say."""
    middle = np.median(standing, axis=0)
    if place.degradation is not None:
        return mean_of(middle - standing[place.degradation])
    there, rest = mean_of(-middle[place.group]), mean_of(-middle[~place.group])  # type: ignore[operator]
    return combined(there.mean - rest.mean, [there, rest])


def _places(pool: Pool) -> Iterator[_Place]:
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


def _groups(pool: Pool) -> Iterator[tuple[str, Flags]]:
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
    compared = [case.number, *(other for other in range(len(pool.names)) if other != case.number)]
    return Weakness(
        configuration=pool.names[case.number],
        place=place.text,
        data=", ".join(panel.data_set or "validation images" for panel in pool.panels),
        deficit=case.deficit,
        change=case.change.mean,
        least=least,
        photographs=count,
        trainings=max(1, len(pool.effects[case.number])),
        trained_once=[pool.names[other] for other in compared if pool.trained_once(other)],
        others=("its input" if not rest else "the other one" if rest == 1 else f"the median of the {rest} others"),
        metric=pool.metric,
    )
