"""The statistics of a comparison, as functions on arrays: contrasts, adjusted p values, weights of main effects."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from scipy import stats

from sr.report.components import Components, Values, quadratic_forms

CONFIDENCE = 0.95
ALPHA = 0.05


class Scope(StrEnum):
    """What a comparison asks about: training again, and scoring other photographs or the same."""

    LIKE_THESE = "on photographs like these"
    THESE = "on exactly these images"


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimates:
    """Differences between configurations, or other contrasts, one per element.

    Attributes:
        values: in the unit of the scores.
        errors: their standard errors.
        df: degrees of freedom of the standard errors, by Satterthwaite's approximation.
    """

    values: Values
    errors: Values
    df: Values

    def intervals(self, confidence: float = CONFIDENCE) -> tuple[Values, Values]:
        """Lower and upper ends of Student's intervals."""
        reach = stats.t.ppf((1 + confidence) / 2, self.df) * self.errors
        return self.values - reach, self.values + reach

    def with_intervals(self) -> list[tuple[float, Interval]]:
        """Each value with its 95 % interval."""
        columns = (self.values, *self.intervals())
        return [(float(value), Interval(float(low), float(high))) for value, low, high in zip(*columns, strict=True)]

    def different(self) -> Values:
        """Two-sided p values of the hypotheses that a value is zero; 1 where value and error are both zero."""
        return self._tail(np.abs(self.values), 2)

    def equivalent(self, rope: float) -> Values:
        """P values of the two one-sided tests that a value lies outside ``-rope..rope`` (Schuirmann 1987)."""
        return self._tail(rope - np.abs(self.values), 1)

    def _tail(self, distances: Values, sides: int) -> Values:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(self.errors > 0, distances / self.errors, np.where(distances > 0, np.inf, -np.inf))
        ratios = np.where((self.errors == 0) & (distances == 0), 0.0, ratios)
        p: Values = np.minimum(1.0, sides * stats.t.sf(ratios, self.df))
        return p


def differences(count: int, pairs: Sequence[tuple[int, int]]) -> Values:
    """Weights ``(N, C)`` of the differences of pairs of C configurations, the first less the second."""
    identity = np.eye(count)
    return identity[[first for first, _ in pairs]] - identity[[second for _, second in pairs]]


def contrasts(parts: Components, weights: Values, scope: Scope = Scope.LIKE_THESE) -> Estimates:
    """Estimate weighted sums of the means of configurations.

    The variance is that of the photographs, plus that of the trainings, less the noise that both contain, plus what
    folds differ by beyond that. The last is due to training sets that overlap, and counts as much as Nadeau & Bengio
    (2003) correct for. Degrees of freedom are Satterthwaite's (1946).

    Args:
        parts: the components.
        weights: ``(N, C)``, of each configuration in each sum; rows that sum to zero are differences.
        scope: whether to ask about other trainings scored on other photographs, or on exactly these.

    Returns:
        The estimates; where a configuration was trained once a fold, and there is one fold, those of its checkpoints.
    """
    training, training_df, most_df, noise = _of_trainings(parts, weights)
    if scope is Scope.THESE:
        unknown = ((weights != 0) & np.isnan(parts.training)).any(axis=1)
        known = _estimates(weights @ parts.means, training, [(training, training_df)])
        return replace(known, errors=np.where(unknown, np.inf, known.errors), df=np.where(unknown, 1.0, known.df))
    if parts.within_df < 1:  # a single photograph says nothing of others
        return Estimates(weights @ parts.means, np.full(len(weights), np.inf), np.ones(len(weights)))
    photograph = quadratic_forms(weights, parts.within) / parts.photographs.sum()
    variance = np.maximum(photograph + training - noise, np.maximum(photograph, training))
    terms = [(photograph, np.full(len(weights), float(parts.within_df))), (training, training_df)]
    if parts.between is not None:
        own = quadratic_forms(weights, parts.between) - parts.expected_between(weights)
        pooled = parts.training_set * (weights**2).sum(axis=1)
        excess = (1 / parts.folds + 1 / (parts.folds - 1)) * np.maximum(own, pooled)
        configurations = int(np.isfinite(parts.trainings[:, 0]).sum())
        terms.append((excess, (parts.folds - 1.0) * np.where(own > pooled, 1, max(1, configurations - 1))))
        variance = variance + excess
    estimates = _estimates(weights @ parts.means, variance, terms)
    # Satterthwaite's many degrees of freedom of a sum whose part with few of them is small by chance, are too many.
    return replace(estimates, df=np.minimum(estimates.df, most_df)) if parts.is_cautious else estimates


def _of_trainings(parts: Components, weights: Values) -> tuple[Values, Values, Values, Values]:
    """Variance due to trainings, its degrees of freedom and the most that it may have, and the noise in it.

    The noise is in the variance of photographs, too.
    """
    squared, sizes = weights**2, parts.photographs
    shares = (sizes / sizes.sum()) ** 2 / parts.trainings  # (C, F)
    each = squared * (parts.overlap * parts.known_training * shares.sum(axis=1))  # (N, C)
    training = each.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = training**2 / (each**2 / np.maximum(parts.training_df, 1e-9)).sum(axis=1)
    involved = np.where(each > 0, parts.training_df, np.inf if parts.is_cautious else 0.0)
    most = np.where(training > 0, involved.min(axis=1) if parts.is_cautious else involved.sum(axis=1), np.inf)
    df = np.minimum(np.where(training > 0, df, np.inf), most)
    return training, df, most, squared @ (parts.noise * (shares / sizes).sum(axis=1))


def _estimates(values: Values, variance: Values, terms: Sequence[tuple[Values, Values]]) -> Estimates:
    """Estimates with Satterthwaite's degrees of freedom for a variance that is a sum of terms."""
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = np.stack([term**2 / np.maximum(df, 1e-9) for term, df in terms])
        df = variance**2 / parts.sum(axis=0)
    return Estimates(values, np.sqrt(variance), np.where(variance > 0, np.maximum(df, 1.0), 1.0))


def holm(p_values: Sequence[float] | Values, most_true: int | None = None) -> Values:
    """Adjust p values for multiple comparisons by the step-down method of Holm (1979).

    Args:
        p_values: of the hypotheses.
        most_true: how many of them can be true at once, if not all (Shaffer 1986).

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist(), holm([0.01, 0.04, 0.03], 2).round(3).tolist()
    ([0.03, 0.06, 0.06], [0.02, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    remaining = np.minimum(np.arange(len(p), 0, -1), len(p) if most_true is None else most_true)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * remaining))
    return adjusted


def effect_weights(cells: Sequence[tuple[str, ...]], factor: int) -> Mapping[str, Values]:
    """Weights of configurations in the main effect of each level of a factor: its mean less that of all levels.

    Only combinations of the other factors that exist with every level count, so that a missing cell favours no level.

    Args:
        cells: the levels of all factors, of each configuration; no two alike.
        factor: position of the factor.

    Returns:
        ``(C,)`` by level; empty if the factor has a single level, or no combination is complete.
    """
    levels = sorted({cell[factor] for cell in cells})
    blocks: dict[tuple[str, ...], dict[str, int]] = {}
    for number, cell in enumerate(cells):
        blocks.setdefault(cell[:factor] + cell[factor + 1 :], {})[cell[factor]] = number
    complete = [block for block in blocks.values() if len(block) == len(levels)]
    if len(levels) < 2 or not complete:
        return {}
    weights = {level: np.zeros(len(cells)) for level in levels}
    for block in complete:
        for level, of_level in weights.items():
            for other, number in block.items():
                of_level[number] += ((other == level) - 1 / len(levels)) / len(complete)
    return weights


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[bool]:
    """Whether each point is on the Pareto front: no other point is at least as good in both and better in one.

    A point whose cost is not a number is not on the front.

    >>> pareto_front([1, 2, 3], [30, 29, 31])
    [True, False, True]
    """
    points = list(zip(costs, scores, strict=True))
    return [
        not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in points) and not math.isnan(cost)
        for cost, score in points
    ]
