"""Means with their standard errors, and lower bounds of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from sr.report.components import Values


@dataclass(frozen=True)
class Estimate:
    """A mean with its squared standard error and degrees of freedom."""

    mean: float
    variance: float
    df: float

    def least(self, alpha: float) -> float:
        """Lower bound of a one-sided interval."""
        return self.mean - float(stats.t.ppf(1 - alpha, self.df)) * math.sqrt(self.variance)


def mean_of(values: Values) -> Estimate:
    """The mean of independent values ``(N,)``, at least two."""
    return Estimate(float(values.mean()), float(values.var(ddof=1)) / len(values), len(values) - 1)


def combined(mean: float, parts: Sequence[Estimate]) -> Estimate:
    """A mean whose variance is a sum, with the degrees of freedom of Satterthwaite (1946)."""
    variance = sum(part.variance for part in parts)
    doubt = sum(part.variance**2 / part.df for part in parts)
    return Estimate(mean, variance, variance**2 / doubt if doubt else sum(part.df for part in parts))
