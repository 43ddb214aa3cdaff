"""The sources of variation of the scores in a comparison, split by the method of moments.

A score is modelled as ``mean[c] + photograph[p] + interaction[c, p] + training[c, t] + noise[c, t, p]`` with random
photographs and random trainings nested in their configuration (Bouthillier et al. 2021, arXiv:2103.03098; Hagmann et
al. 2023, arXiv:2302.04054).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from scipy import optimize, special, stats

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

_LEAST_TO_MODERATE = 4  # configurations
_DOUBT = 0.2  # p value of the test for equal variances
_LEAST_VARIANCE = 1e-5  # of the median: trainings that agree by chance
_MOST_DF = 1e6


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
        own_training: ``(C,)``, the same of each configuration by itself, where ``training`` borrows from the others.
        training_df: ``(C,)``, degrees of freedom of ``training``.
        noise: ``(C,)``, variance of what is specific to a training and a photograph; 0 where it is unknown.
        training_set: variance between folds of what the training set does to a configuration, pooled over all; it
            includes that of the trainings where no fold was trained twice.
        overlap: ``(C,)``, factor of the variance of a mean over trainings, for training sets that overlap.
        is_cautious: whether a difference has the degrees of freedom of its configuration with the fewest, instead of
            their sum at most.
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
    is_cautious: bool
    overlap: Values

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.photographs)

    @property
    def known_training(self) -> Values:
        """``training``, with 0 where it is unknown."""
        return np.where(np.isnan(self.training), 0.0, self.training)

    @property
    def likely_training(self) -> Values:
        """``training``; where it is unknown, what folds differ by, which includes it, or the others' mean if larger."""
        known = self.training[np.isfinite(self.training) & np.isfinite(self.trainings[:, 0])]
        unknown = max(self.training_set, float(known.mean()) if known.size else 0.0)
        return np.where(np.isnan(self.training), unknown, self.training)

    def expected_between(self, weights: Values) -> Values:
        """Variance over folds of weighted sums, as far as photographs and trainings explain it; see `contrasts`."""
        squared, sizes = weights**2, self.photographs
        expected: Values = quadratic_forms(weights, self.within) * (1 / sizes).mean()
        training = self.known_training * (1 / self.trainings).mean(axis=1)
        expected += squared @ (training - self.noise * (1 / sizes / self.trainings).mean(axis=1))
        return expected


def components(
    scores: Values, folds: Sequence[int], is_baseline: Sequence[bool], training_folds: Sequence[int] | None = None
) -> Components:
    """Split the variation of scores by the method of moments.

    Args:
        scores: ``(C, T, P)``, of each configuration, training seed and photograph; nan where there is none. A baseline
            has its scores at the first seed. Every configuration has a score of every photograph.
        folds: ``(P,)``, the fold that validated each photograph: a training is one seed on one fold.
        is_baseline: ``(C,)``, whether a configuration is not trained at all.
        training_folds: ``(C,)``, number of folds whose trainings all score every photograph. Their training sets
            overlap, and all seeds of a fold share one: a mean over F folds of S seeds varies as much as 1/(F S) +
            1/(F - 1) of a training, with F - 1 degrees of freedom (Nadeau & Bengio 2003; Bouckaert & Frank 2004).

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
    of_folds = np.ones(len(scores)) if training_folds is None else np.asarray(training_folds, dtype=np.float64)
    overlapping = of_folds > 1
    variances = _moderated(np.where(fixed, 0.0, training.mean), np.where(fixed, 0.0, training.df))
    variances["training_df"] = np.where(
        overlapping, np.minimum(variances["training_df"], of_folds - 1), variances["training_df"]
    )
    parts = Components(
        means=by_photograph.mean(axis=1),
        photographs=sizes,
        trainings=trainings,
        within=centred @ centred.T / max(1, within_df),
        within_df=within_df,
        between=np.atleast_2d(np.cov(fold_means)) if len(members) > 1 else None,
        **variances,
        own_training=np.where(fixed, 0.0, training.mean),
        noise=np.where(fixed | np.isnan(noise.mean), 0.0, noise.mean),
        training_set=0.0,
        overlap=np.where(overlapping, 1 + trainings[:, 0] / np.maximum(of_folds - 1, 1), 1.0),
    )
    return replace(parts, training_set=_training_set(parts, ~fixed))


def _training_set(parts: Components, trained: Values) -> float:
    count = int(trained.sum())
    if parts.between is None or count < 2:
        return 0.0
    weights = (np.eye(len(trained)) - trained / count)[trained] * trained  # each configuration less the mean of all
    excess = quadratic_forms(weights, parts.between) - parts.expected_between(weights)
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


def _moderated(variances: Values, df: Values) -> dict[str, Any]:
    """The variances between trainings that comparisons use, and their degrees of freedom.

    Three trainings say little about the variance of a configuration, so it borrows from the others. If Bartlett's test
    (1937) does not doubt that they are alike, all have the pooled one. Otherwise each is moderated by the others, which
    are worth as many degrees of freedom as they are alike (Smyth 2004, doi:10.2202/1544-6115.1027). Two precautions
    keep pages of many pairs at their level beside an unstable configuration: how unlike they are is overestimated by a
    standard error, and none gets less than its own variance. Two or three configurations keep their own (Welch 1947).
    """
    usable = df > 0
    own, own_df = variances[usable], df[usable]
    separate = {"training": variances, "training_df": df, "is_cautious": len(own) >= _LEAST_TO_MODERATE}
    if len(own) < _LEAST_TO_MODERATE or np.median(own) <= 0:
        return separate
    total = own_df.sum()
    logarithms = np.log(np.maximum(own, _LEAST_VARIANCE * np.median(own)))
    pooled = (own * own_df).sum() / total
    correction = 1 + ((1 / own_df).sum() - 1 / total) / (3 * (len(own) - 1))
    bartlett = (total * math.log(pooled) - (own_df * logarithms).sum()) / correction
    if stats.chi2.sf(bartlett, len(own) - 1) > _DOUBT:
        prior_df, moderated = total, np.full(len(own), pooled)
    else:
        logarithms += np.log(own_df / 2) - special.digamma(own_df / 2)  # each without bias
        unlike = logarithms.var(ddof=1) * (1 + math.sqrt(2 / (len(own) - 1)))
        prior_df = _degrees_of_freedom(unlike - special.polygamma(1, own_df / 2).mean())
        prior = math.exp(logarithms.mean() + special.digamma(prior_df / 2) - math.log(prior_df / 2))
        moderated = np.maximum((prior_df * prior + own_df * own) / (prior_df + own_df), own)
    training, training_df = variances.copy(), df.copy()
    training[usable], training_df[usable] = moderated, np.minimum(prior_df + own_df, total)
    return separate | {"training": training, "training_df": training_df}


def _degrees_of_freedom(variance: float) -> float:
    """Degrees of freedom of variances whose logarithms vary this much."""
    if variance <= special.polygamma(1, _MOST_DF / 2):
        return _MOST_DF
    return float(2 * optimize.brentq(lambda half: special.polygamma(1, half) - variance, 1e-3, _MOST_DF / 2))


def quadratic_forms(weights: Values, matrix: Values) -> Values:
    """The quadratic form of a matrix ``(C, C)`` with each row of ``weights`` ``(N, C)``, not below 0."""
    form: Values = np.einsum("nc,cd,nd->n", weights, matrix, weights)
    return np.maximum(form, 0.0)
