"""The statistics of a comparison: intervals, paired tests, main effects, and what is worth its cost."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from scipy import stats

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

CONFIDENCE = 0.95
ALPHA = 0.05
_RESAMPLES = 9999
_SEED = 23

# With fewer pairs the signed-rank test cannot reach p < 0.05, whatever the values: 2 / 2**n.
LEAST_PAIRS = 6


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; None for the latter of a single value."""
    column = np.asarray(values, dtype=np.float64)
    return float(column.mean()), float(column.std(ddof=1)) if len(column) > 1 else None


def bootstrap_interval(values: Sequence[float] | Values) -> tuple[float, float]:
    """95 % interval of the mean by the percentile bootstrap (Efron & Tibshirani 1993), the same every time.

    A single value, or several equal ones, have an interval of no width.
    """
    column = np.asarray(values, dtype=np.float64)
    if len(column) < 2 or np.ptp(column) == 0:
        return float(column.mean()), float(column.mean())
    found = stats.bootstrap(
        (column,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def paired_p_value(ours: Sequence[float] | Values, theirs: Sequence[float] | Values) -> float:
    """Two-sided p value of the Wilcoxon signed-rank test on pairs; 1 if no pair differs."""
    difference = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    if not difference.any():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # few pairs: the report says so itself
        return float(stats.wilcoxon(difference).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number by the step-down method of Holm (1979).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - done)))
        adjusted[index] = largest
    return adjusted


def main_effects(cells: Mapping[tuple[str, ...], Values], factor: int) -> dict[str, tuple[float, float, float]]:
    """What the choice of one factor is worth, the others averaged out, in the unit of the values.

    Only combinations of the other factors that exist with every level count, so that a missing cell favours none.

    Args:
        cells: levels of all factors, and the values of all images in one order.
        factor: position of the factor in the keys.

    Returns:
        For each level the mean difference from the mean of all levels, and its bootstrap interval over images; empty
        if the factor has one level, or no combination is complete.
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
    effects = {level: values - overall for level, values in by_level.items()}
    return {level: (float(values.mean()), *bootstrap_interval(values)) for level, values in effects.items()}


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[bool]:
    """Which points no other one beats: none costs as little or less and scores as much or more, one of them strictly.

    >>> pareto_front([1, 2, 3], [30, 29, 31])
    [True, False, True]
    """
    points = list(zip(costs, scores, strict=True))
    return [
        not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in points) and not math.isnan(cost)
        for cost, score in points
    ]
