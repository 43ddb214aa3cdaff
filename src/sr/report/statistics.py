"""The statistics of a comparison, as functions on arrays: variance components, contrasts, adjusted p values.

A score is modelled as ``mean[c] + photograph[p] + interaction[c, p] + training[c, t] + noise[c, t, p]`` with random
photographs and random trainings nested in their configuration (Bouthillier et al. 2021, arXiv:2103.03098;
Hagmann et al. 2023, arXiv:2302.04054).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy import stats

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

CONFIDENCE = 0.95
ALPHA = 0.05

_LEAST_TO_POOL = 4  # configurations
_DOUBT = 0.2  # p value of the test for equal variances


class Interval(NamedTuple):
    """The ends of a confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Components:
    """What the scores of a comparison say about its sources of variation; C configurations, F folds.

    Attributes:
        means: ``(C,)``, mean score over photographs, each the mean over its trainings.
        photographs: ``(F,)``, number of photographs in each fold.
        trainings: ``(C, F)``, number of trainings that validated each fold; infinite for baselines.
        within: ``(C, C)``, covariance over photographs of their mean scores, pooled over folds.
        within_df: degrees of freedom of ``within``.
        between: ``(C, C)``, covariance over folds of their mean scores; None for a single fold.
        training: ``(C,)``, variance over trainings of a training's mean score; 0 for baselines, nan if no fold was
            trained twice.
        own_training: ``(C,)``, the same of each configuration by itself, where ``training`` may be pooled.
        training_df: ``(C,)``, degrees of freedom of ``training``.
        noise: ``(C,)``, variance of what is specific to a training and a photograph; 0 where it is unknown.
        training_set: variance between folds of what the training set does to a configuration, pooled over all; it
            includes that of the trainings where no fold was trained twice.
        most_df: degrees of freedom that the variance between trainings has at most in a difference.
    """

    means: Values
    photographs: Values
    trainings: Values
    within: Values
    within_df: int
    between: Values | None
    training: Values
    own_training: Values
    training_df: Values
    noise: Values
    training_set: float
    most_df: float

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.photographs)

    def expected_between(self, weights: Values) -> Values:
        """Variance over folds of weighted sums, as far as photographs and trainings explain it; see `contrasts`."""
        squared, sizes = weights**2, self.photographs
        known = np.where(np.isnan(self.training), 0.0, self.training)
        expected: Values = _quadratic(weights, self.within) * (1 / sizes).mean()
        training = known * (1 / self.trainings).mean(axis=1)
        expected += squared @ (training - self.noise * (1 / sizes / self.trainings).mean(axis=1))
        return expected


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


def components(scores: Values, folds: Sequence[int], is_baseline: Sequence[bool]) -> Components:
    """Split the variation of scores by the method of moments.

    Args:
        scores: ``(C, T, P)``, of each configuration, training seed and photograph; nan where there is none. A baseline
            has its scores at the first seed. Every configuration has a score of every photograph.
        folds: ``(P,)``, the fold that validated each photograph: a training is one seed on one fold.
        is_baseline: ``(C,)``, whether a configuration is not trained at all.

    Raises:
        ValueError: if a configuration has no score of a photograph.
    """
    fixed = np.asarray(is_baseline, dtype=bool)
    known: Flags = np.asarray(~np.isnan(scores))
    if not known.any(axis=1).all():
        raise ValueError("every configuration needs a score of every photograph")
    counts = known.sum(axis=1)
    by_photograph = np.where(known, scores, 0.0).sum(axis=1) / counts
    labels = sorted(set(folds))
    members = [np.flatnonzero(np.asarray(folds) == label) for label in labels]
    sizes = np.array([len(photographs) for photographs in members], dtype=np.float64)
    fold_means = np.stack([by_photograph[:, photographs].mean(axis=1) for photographs in members], axis=1)
    centred = np.concatenate([by_photograph[:, part] - fold_means[:, [f]] for f, part in enumerate(members)], axis=1)
    within_df = int(sizes.sum()) - len(members)
    training, noise = _Pool(len(scores)), _Pool(len(scores))
    trainings = np.empty((len(scores), len(members)))
    for number, photographs in enumerate(members):
        part = scores[:, :, photographs]
        trained: Flags = np.asarray(known[:, :, photographs].all(axis=2))  # (C, T)
        trainings[:, number] = np.where(fixed, np.inf, trained.sum(axis=1))
        of_training = np.where(trained, np.where(trained[..., None], part, 0.0).mean(axis=2), 0.0)  # (C, T)
        count = trained.sum(axis=1)
        mean = of_training.sum(axis=1) / np.maximum(count, 1)
        apart = np.where(trained, of_training - mean[:, None], 0.0)
        training.add((apart**2).sum(axis=1), np.maximum(count - 1, 0))
        rest = part - of_training[..., None] - (by_photograph[:, photographs] - mean[:, None])[:, None, :]
        squares = np.where(trained[..., None], rest, 0.0) ** 2
        noise.add(squares.sum(axis=(1, 2)), np.maximum(count - 1, 0) * (len(photographs) - 1))
    parts = Components(
        means=by_photograph.mean(axis=1),
        photographs=sizes,
        trainings=trainings,
        within=centred @ centred.T / max(1, within_df),
        within_df=within_df,
        between=np.atleast_2d(np.cov(fold_means)) if len(members) > 1 else None,
        **_pooled_if_alike(np.where(fixed, 0.0, training.mean), np.where(fixed, 0.0, training.df)),
        own_training=np.where(fixed, 0.0, training.mean),
        noise=np.where(fixed | np.isnan(noise.mean), 0.0, noise.mean),
        training_set=0.0,
    )
    return replace(parts, training_set=_training_set(parts, ~fixed))


def _training_set(parts: Components, trained: Values) -> float:
    count = int(trained.sum())
    if parts.between is None or count < 2:
        return 0.0
    weights = (np.eye(len(trained)) - trained / count)[trained] * trained  # each configuration less the mean of all
    excess = _quadratic(weights, parts.between) - parts.expected_between(weights)
    return max(0.0, float(excess.sum()) / (count - 1))


class _Pool:
    """Sums of squares and their degrees of freedom, of each configuration."""

    def __init__(self, count: int) -> None:
        self._squares, self.df = np.zeros(count), np.zeros(count)

    def add(self, squares: Values, df: Values) -> None:
        self._squares += np.where(df > 0, squares, 0.0)
        self.df += df

    @property
    def mean(self) -> Values:
        """The variances; nan without degrees of freedom."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: Values = np.where(self.df > 0, self._squares / self.df, np.nan)
        return mean


def _pooled_if_alike(variances: Values, df: Values) -> dict[str, Any]:
    """One variance between trainings for all configurations, unless Bartlett's test (1937) doubts that they are alike.

    Beside an unstable configuration each keeps its own, and a difference has the degrees of freedom of the one that has
    fewest: Satterthwaite's are too many for the small p values of a page of many pairs. Two or three configurations
    keep their own anyway (Welch 1947).
    """
    usable = df > 0
    own, own_df = variances[usable], df[usable]
    total = float(own_df.sum())
    separate = {"training": variances, "training_df": df, "most_df": total}
    if len(own) < _LEAST_TO_POOL:
        return separate
    pooled = float((own * own_df).sum()) / total
    with np.errstate(divide="ignore"):
        statistic = total * np.log(pooled) - (own_df * np.log(own)).sum()
    correction = 1 + ((1 / own_df).sum() - 1 / total) / (3 * (len(own) - 1))
    if pooled > 0 and stats.chi2.sf(statistic / correction, len(own) - 1) <= _DOUBT:
        return separate | {"most_df": float(own_df.min())}
    return {
        "training": np.where(usable, pooled, variances),
        "training_df": np.where(usable, total, df),
        "most_df": total,
    }


def contrasts(parts: Components, weights: Values, *, same_photographs: bool = False) -> Estimates:
    """Estimate weighted sums of the means of configurations.

    The variance is that of the photographs, plus that of the trainings, less the noise that both contain, plus what
    folds differ by beyond that. The last is due to training sets that overlap, and counts as much as Nadeau & Bengio
    (2003) correct for. Degrees of freedom are Satterthwaite's (1946).

    Args:
        parts: the components.
        weights: ``(N, C)``, of each configuration in each sum; rows that sum to zero are differences.
        same_photographs: ask about other trainings scored on exactly these photographs, rather than on photographs
            like these.

    Returns:
        The estimates; where a configuration was trained once a fold, and there is one fold, those of its checkpoints.
    """
    training, training_df, noise = _of_trainings(parts, weights)
    if same_photographs:
        return _estimates(weights @ parts.means, training, [(training, training_df)])
    if parts.within_df < 1:  # a single photograph says nothing of others
        return Estimates(weights @ parts.means, np.full(len(weights), np.inf), np.ones(len(weights)))
    photograph = _quadratic(weights, parts.within) / parts.photographs.sum()
    variance = np.maximum(photograph + training - noise, np.maximum(photograph, training))
    terms = [(photograph, np.full(len(weights), float(parts.within_df))), (training, training_df)]
    if parts.between is not None:
        own = _quadratic(weights, parts.between) - parts.expected_between(weights)
        pooled = parts.training_set * (weights**2).sum(axis=1)
        excess = (1 / parts.folds + 1 / (parts.folds - 1)) * np.maximum(own, pooled)
        configurations = int(np.isfinite(parts.trainings[:, 0]).sum())
        terms.append((excess, (parts.folds - 1.0) * np.where(own > pooled, 1, max(1, configurations - 1))))
        variance = variance + excess
    return _estimates(weights @ parts.means, variance, terms)


def _of_trainings(parts: Components, weights: Values) -> tuple[Values, Values, Values]:
    """Variance due to trainings, its degrees of freedom, and the noise in it that is in that of photographs, too."""
    squared, sizes = weights**2, parts.photographs
    shares = (sizes / sizes.sum()) ** 2 / parts.trainings  # (C, F)
    known = np.where(np.isnan(parts.training), 0.0, parts.training)
    each = squared * (known * shares.sum(axis=1))  # (N, C)
    training = each.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = training**2 / (each**2 / np.maximum(parts.training_df, 1e-9)).sum(axis=1)
    df = np.minimum(np.where(training > 0, df, np.inf), max(parts.most_df, 1.0))
    return training, df, squared @ (parts.noise * (shares / sizes).sum(axis=1))


def _estimates(values: Values, variance: Values, terms: Sequence[tuple[Values, Values]]) -> Estimates:
    """Estimates with Satterthwaite's degrees of freedom for a variance that is a sum of terms."""
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = np.stack([term**2 / np.maximum(df, 1e-9) for term, df in terms])
        df = variance**2 / parts.sum(axis=0)
    return Estimates(values, np.sqrt(variance), np.where(variance > 0, np.maximum(df, 1.0), 1.0))


def _quadratic(weights: Values, matrix: Values) -> Values:
    """The quadratic form of each row of ``weights``, not below 0."""
    form: Values = np.einsum("nc,cd,nd->n", weights, matrix, weights)
    return np.maximum(form, 0.0)


def holm(p_values: Sequence[float] | Values) -> Values:
    """Adjust p values for multiple comparisons by the step-down method of Holm (1979).

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
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
