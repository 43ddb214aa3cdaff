"""The statistics of a comparison: bootstrap intervals, paired tests, main effects, Pareto fronts."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy import stats

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

CONFIDENCE = 0.95
ALPHA = 0.05
_RESAMPLES = 9999
_SEED = 23

# With fewer pairs the smallest p value of the signed-rank test, 2 / 2**n, is above 0.05.
LEAST_PAIRS = 6


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


class Effect(NamedTuple):
    """What a factor level is worth: its mean difference from the mean of all levels, and the interval of that."""

    mean: float
    interval: Interval


def bootstrap_interval(values: Sequence[float] | Values, weights: Sequence[float] | None = None) -> Interval:
    """95 % interval of the mean by the percentile bootstrap (Efron & Tibshirani 1993), with a fixed seed.

    The interval of a single value, or of equal values, has no width.

    Args:
        values: one per image.
        weights: of the images in the mean, such as 1 / (images in its fold) for a mean of fold means; None: equal ones.
    """
    column = np.asarray(values, dtype=np.float64)
    if len(column) < 2 or np.ptp(column) == 0:
        return Interval(float(column.mean()), float(column.mean()))
    is_weighted = weights is not None and np.ptp(weights) > 0
    interval = stats.bootstrap(
        (column, np.asarray(weights)) if is_weighted else (column,),
        _weighted_mean if is_weighted else np.mean,
        paired=is_weighted,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return Interval(float(interval.low), float(interval.high))


def _weighted_mean(values: Values, weights: Values, axis: int = -1) -> Values:
    mean: Values = (values * weights).sum(axis) / weights.sum(axis)
    return mean


def paired_p_value(first: Sequence[float] | Values, second: Sequence[float] | Values) -> float:
    """Two-sided p value of the Wilcoxon signed-rank test on pairs; 1 if no pair differs."""
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if not differences.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # few pairs: the notes of the report mention them
        return float(stats.wilcoxon(differences).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for multiple comparisons by the step-down method of Holm (1979).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def main_effects(cells: Mapping[tuple[str, ...], Values], factor: int) -> dict[str, Effect]:
    """What each level of a factor is worth, averaged over the other factors, in the unit of the values.

    Only combinations of the other factors that exist with every level count, so that a missing cell favours no level.

    Args:
        cells: values of all images, in the same order in each cell, by the levels of all factors.
        factor: position of the factor in the keys.

    Returns:
        The effect of each level with its bootstrap interval over images; empty if the factor has a single level, or
        no combination is complete.
    """
    levels = sorted({key[factor] for key in cells})
    blocks: dict[tuple[str, ...], dict[str, Values]] = {}
    for key, values in cells.items():
        blocks.setdefault(key[:factor] + key[factor + 1 :], {})[key[factor]] = values
    complete = [block for block in blocks.values() if len(block) == len(levels)]
    if len(levels) < 2 or not complete:
        return {}
    by_level = {level: np.mean([block[level] for block in complete], axis=0) for level in levels}
    overall = np.mean(list(by_level.values()), axis=0)
    differences = {level: values - overall for level, values in by_level.items()}
    return {level: Effect(float(values.mean()), bootstrap_interval(values)) for level, values in differences.items()}


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
