"""The analysis of a comparison: scores as arrays, variance components, and a verdict on every pair."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from sr.errors import UserError
from sr.report.comparison import Comparison
from sr.report.components import Components, Values, components
from sr.report.run import Configuration
from sr.report.statistics import Estimates, Interval, Scope, contrasts
from sr.report.verdicts import Pair, Verdict, pairs_of, possible_bests
from sr.runs.scores import MeanSd, mean_and_sd
from sr.terms import BASELINES, Baseline, MetricInfo

_FOLDS_THAT_DO = 5  # folds of one training each, from which verdicts on configurations can be drawn


@dataclass(frozen=True)
class Analysis:
    """What can be said of the configurations of a comparison. Numbers refer to `names`.

    Attributes:
        names: of the configurations, then of the baselines.
        configurations: in the order of their names.
        baselines: in the order of theirs.
        metrics: how to show each metric that any configuration has, by its name.
        parts: the variance components of each metric that all have, with the sign that makes more the better.
        partial: means of each metric that some lack, for which they are None.
        decidable: numbers of the configurations that were trained often enough for verdicts.
        pairs: all pairs of configurations, and each configuration with the reference, in both orders.
        order: numbers of the configurations from the best mean score to the worst.
        possible_bests: numbers of the configurations that may be the best, in that order; empty if fewer than two are
            decidable.
        reference: number of what the configurations are compared with besides the best one.
        rope: the region of practical equivalence.
        score: the metric that decides.
        scope: what the verdicts are about.
    """

    names: Sequence[str]
    configurations: Sequence[Configuration]
    baselines: Sequence[Baseline]
    metrics: Mapping[str, MetricInfo]
    parts: Mapping[str, Components]
    partial: Mapping[str, Sequence[MeanSd | None]]
    decidable: frozenset[int]
    pairs: Mapping[tuple[int, int], Pair]
    order: Sequence[int]
    possible_bests: Sequence[int]
    reference: int
    rope: float
    score: str
    scope: Scope

    @property
    def metric(self) -> MetricInfo:
        """The metric that decides."""
        return self.metrics[self.score]

    @property
    def extreme(self) -> str:
        """Where the best mean is, in a word."""
        return "highest" if self.metric.higher_is_better else "lowest"

    @property
    def best(self) -> int:
        """Number of the configuration with the best mean score; where there are verdicts, of those that have one."""
        return next((number for number in self.order if number in self.possible_bests), self.order[0])

    @property
    def undecidable_above(self) -> list[int]:
        """Numbers of the configurations with a better mean than the best one that are without a verdict."""
        return list(self.order[: self.order.index(self.best)])

    @property
    def all_equivalent(self) -> bool:
        """Whether the configurations that may be the best are several, and equivalent to each other."""
        pairs = list(combinations(self.possible_bests, 2))
        return bool(pairs) and all(self.pairs[pair].verdict is Verdict.EQUIVALENT for pair in pairs)

    @property
    def undecidable(self) -> set[int]:
        """Numbers of the configurations that were trained too few times for verdicts."""
        return set(range(len(self.configurations))) - self.decidable

    def in_scope(self, scope: Scope) -> "Analysis":
        """The same scores with verdicts on another scope."""
        parts, count = self.parts[self.score], len(self.configurations)
        is_repeated = ~np.isnan(parts.training[:count])
        if scope is Scope.LIKE_THESE:
            is_repeated = (is_repeated | (parts.folds >= _FOLDS_THAT_DO)) & (parts.within_df > 0)
        decidable = frozenset(int(number) for number in np.flatnonzero(is_repeated))
        with_reference = [(number, self.reference) for number in range(count) if self.reference >= count]
        pairs = pairs_of(parts, [*combinations(range(count), 2), *with_reference], self.rope, scope)
        bests = possible_bests(pairs, [n for n in self.order if n in decidable]) if len(decidable) > 1 else []
        other = replace(self, decidable=decidable, possible_bests=bests, scope=scope)
        of_pairs = {pair: one if other.decides(*pair) else one.of_checkpoints for pair, one in pairs.items()}
        return replace(other, pairs=of_pairs)

    def number(self, baseline: Baseline) -> int:
        """Number of a baseline."""
        return len(self.configurations) + self.baselines.index(baseline)

    def decides(self, first: int, second: int) -> bool:
        """Whether a pair says something of configurations, not only of checkpoints; baselines are not trained."""
        trained = {number for number in (first, second) if number < len(self.configurations)}
        return trained <= self.decidable

    def is_worse(self, first: int, second: int) -> bool:
        """Whether the verdict on the first of two configurations is that it is worse."""
        pair = self.pairs.get((first, second))
        return pair is not None and pair.verdict is Verdict.WORSE

    def mean(self, number: int) -> float:
        """Mean of the compared score, with the sign that makes more the better."""
        return float(self.parts[self.score].means[number])

    def means(self, score: str) -> Sequence[MeanSd | None]:
        """Means over photographs, with the standard deviation between trainings, None if no fold was trained twice.

        Whoever was not scored has None.
        """
        if score in self.partial:
            return self.partial[score]
        parts, sign = self.parts[score], _sign(self.metrics[score])
        deviations = [None if np.isnan(own) else float(own) ** 0.5 for own in parts.own_training]
        deviations[len(self.configurations) :] = [None] * len(self.baselines)
        for number, entry in enumerate(self.configurations):
            deviations[number] = None if entry.is_fixed else deviations[number]
        return [MeanSd(sign * float(mean), sd) for mean, sd in zip(parts.means, deviations, strict=True)]

    def shown(self, estimates: Estimates) -> list[tuple[float, Interval]]:
        """Estimates of the compared score and their intervals, with the sign of the score."""
        if self.metric.higher_is_better:
            return estimates.with_intervals()
        return [(-mean, Interval(-interval.high, -interval.low)) for mean, interval in estimates.with_intervals()]

    def against(self, other: int, score: str) -> Estimates:
        """The differences of all configurations and baselines from one of them."""
        identity = np.eye(len(self.names))
        return contrasts(self.parts[score], identity - identity[other], self.scope)


def analyse(
    comparison: Comparison,
    *,
    score: str = "psnr",
    rope: float | None = None,
    reference: str | None = None,
    scope: Scope = Scope.LIKE_THESE,
) -> Analysis:
    """Analyse a comparison.

    Args:
        comparison: the configurations.
        score: the metric to compare, which all configurations have.
        rope: differences up to this are practically equivalent; None: that of the metric, as 0.05 dB of PSNR.
        reference: name of a configuration or baseline; None: the strongest baseline.
        scope: what the verdicts are about.

    Raises:
        UserError: if there is nothing of that name, or not all have the score.
    """
    configurations, baselines = comparison.configurations, _baselines(comparison)
    names = names_in(comparison)
    count = len(configurations)
    metrics = comparison.metrics
    all_parts = {
        name: _components(comparison, baselines, name) for name in metrics if _all_have(name, comparison, baselines)
    }
    if score not in all_parts:
        raise UserError(f"--score: not all configurations have {score}: use {', '.join(all_parts)}")
    parts = all_parts[score]
    scores_alone = Analysis(
        names=names,
        configurations=configurations,
        baselines=baselines,
        metrics=metrics,
        parts=all_parts,
        partial={name: _partial(comparison, baselines, name) for name in metrics if name not in all_parts},
        decidable=frozenset(),
        pairs={},
        order=sorted(range(count), key=lambda number: (-parts.means[number], names[number])),
        possible_bests=[],
        reference=_reference(names, parts.means, count, reference),
        rope=metrics[score].rope if rope is None else rope,
        score=score,
        scope=scope,
    )
    return scores_alone.in_scope(scope)


def names_in(comparison: Comparison) -> list[str]:
    """The names of its configurations, then of the baselines that were scored."""
    configurations = [configuration.name for configuration in comparison.configurations]
    return configurations + [baseline.name_at(comparison.scale) for baseline in _baselines(comparison)]


def score_array(comparison: Comparison, baselines: Sequence[Baseline], score: str) -> tuple[Values, list[int]]:
    """Scores as `sr.report.components.components` takes them, and the fold of each photograph.

    The score of a photograph is the mean over its images. Where configurations were split into folds in different ways,
    the trainings of all folds of a seed count as one.
    """
    configurations = comparison.configurations
    images, groups = configurations[0].images, comparison.groups
    assignments = [_assignment(configuration) for configuration in configurations]
    folds = assignments[0] if all(other == assignments[0] for other in assignments) else dict.fromkeys(images, 0)
    units = sorted({(groups[name], folds[name]) for name in images})
    position = {unit: number for number, unit in enumerate(units)}
    unit_of_image = [position[groups[name], folds[name]] for name in images]
    trainings = max(len(configuration.runs) for configuration in configurations)
    scores = np.full((len(configurations) + len(baselines), trainings, len(units)), np.nan)
    for number, configuration in enumerate(configurations):
        for training, run in enumerate(configuration.runs):
            values = [run.images[name][score] if name in run.images else np.nan for name in images]
            scores[number, training] = _means(values, unit_of_image, len(units))
    for number, baseline in enumerate(baselines, len(configurations)):
        of_image = _baseline_scores(comparison, baseline, score)
        scores[number, 0] = _means([of_image[name] for name in images], unit_of_image, len(units))
    return scores, [fold for _, fold in units]


def _sign(metric: MetricInfo) -> int:
    return 1 if metric.higher_is_better else -1


def _all_have(score: str, comparison: Comparison, baselines: Sequence[Baseline]) -> bool:
    return all(score in entry.metrics for entry in comparison.configurations) and all(
        _baseline_scores(comparison, baseline, score) for baseline in baselines
    )


def _components(comparison: Comparison, baselines: Sequence[Baseline], score: str) -> Components:
    scores, folds = score_array(comparison, baselines, score)
    configurations = comparison.configurations
    is_baseline = [entry.is_fixed for entry in configurations] + [True] * len(baselines)
    training_folds = [entry.training_folds for entry in configurations] + [1] * len(baselines)
    return components(_sign(comparison.metrics[score]) * scores, folds, is_baseline, training_folds)


def _partial(comparison: Comparison, baselines: Sequence[Baseline], score: str) -> list[MeanSd | None]:
    """Means of a score that not all have, with the deviation between trainings of a seed's mean."""
    means: list[MeanSd | None] = []
    groups = comparison.groups
    for entry in comparison.configurations:
        if score not in entry.metrics:
            means.append(None)
            continue
        of_runs = [{name: row[score] for name, row in run.images.items()} for run in entry.runs]
        summary = mean_and_sd([_over_photographs(of_run, groups) for of_run in of_runs])
        means.append(replace(summary, sd=None) if entry.is_fixed else summary)
    for baseline in baselines:
        of_image = _baseline_scores(comparison, baseline, score)
        means.append(MeanSd(_over_photographs(of_image, groups)) if of_image else None)
    return means


def _over_photographs(scores: Mapping[str, float], groups: Mapping[str, str]) -> float:
    """Mean over photographs, each the mean of its images."""
    by_photograph: dict[str, list[float]] = defaultdict(list)
    for name, value in scores.items():
        by_photograph[groups[name]].append(value)
    return statistics.fmean(statistics.fmean(values) for values in by_photograph.values())


def _baselines(comparison: Comparison) -> list[Baseline]:
    return [baseline for baseline in BASELINES if _baseline_scores(comparison, baseline, "psnr")]


def _baseline_scores(comparison: Comparison, baseline: Baseline, score: str) -> dict[str, float]:
    """Scores of a baseline by image, from any run that recorded them; empty if an image has none."""
    column = f"{baseline.prefix}_{score}"
    scores = {
        name: of_image[column] for run in comparison.runs for name, of_image in run.images.items() if column in of_image
    }
    return scores if len(scores) == len(comparison.configurations[0].images) else {}


def _assignment(configuration: Configuration) -> dict[str, int]:
    return {name: fold for run in configuration.runs for name, fold in run.folds.items()}


def _means(values: Sequence[float], units: Sequence[int], count: int) -> Values:
    sums = np.bincount(units, values, minlength=count)
    means: Values = sums / np.bincount(units, minlength=count)
    return means


def _reference(names: Sequence[str], means: Values, count: int, wanted: str | None) -> int:
    if wanted is None:
        return count + int(np.argmax(means[count:]))
    matching = [number for number, name in enumerate(names) if name.lower() == wanted.lower()]
    if not matching:
        raise UserError(f"--reference: no {wanted!r} in this report: use {'; '.join(names)}")
    return matching[0]
