"""The leaderboard of a comparison: a row per configuration, and a row per baseline."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sr.report.analysis import Analysis
from sr.report.run import Configuration
from sr.report.statistics import Estimates, Interval
from sr.report.verdicts import Verdict
from sr.runs.scores import MeanSd
from sr.terms import loses_to


class Kind(StrEnum):
    """What a row says of its configuration; the page colours it accordingly."""

    BASELINE = "baseline"
    LOSES = "loses"
    BEST = "best"
    EQUIVALENT = "equivalent"
    POSSIBLE = "possible"
    RUN = "run"


@dataclass(frozen=True)
class Difference:
    """A difference of means with its 95 % interval."""

    mean: float
    interval: Interval


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard.

    Means are over photographs; deviations are between trainings, None if none was repeated.

    Attributes:
        name: of the configuration or the baseline.
        configuration: None for a baseline.
        rank: by mean score among the configurations, from 1; None for a baseline.
        scores: each metric of the comparison, by its name; None where it was not scored.
        gain: PSNR minus that of the input, dB, with its interval.
        to_best: difference of the compared score from the best configuration; None for that one.
        to_reference: the same from the reference; None for that one.
        verdict: in words.
        wins: probability that a new training scores higher than one of the best configuration; None where unknown.
        loses_to: baselines that it does not beat, in words; empty for a baseline.
        kind: what it says of the configuration, in a word.
    """

    name: str
    configuration: Configuration | None
    rank: int | None
    scores: Mapping[str, MeanSd | None]
    gain: Difference
    to_best: Difference | None
    to_reference: Difference | None
    verdict: str
    wins: float | None
    loses_to: str
    kind: Kind

    @property
    def psnr(self) -> MeanSd:
        """In dB; all have one."""
        return self._of("psnr")

    @property
    def ssim(self) -> MeanSd:
        """Mean structural similarity; all have one."""
        return self._of("ssim")

    def _of(self, metric: str) -> MeanSd:
        summary = self.scores[metric]
        assert summary is not None  # of every run and evaluation
        return summary


def leaderboard(analysis: Analysis) -> list[Row]:
    """The rows, from the best mean score to the worst; a baseline is above a configuration with the same score."""
    count = len(analysis.configurations)
    means = {score: analysis.means(score) for score in analysis.metrics}
    gains = _differences(analysis.against(count, "psnr"))
    to_best = _shown(analysis, analysis.best)
    to_reference = _shown(analysis, analysis.reference)
    psnr = analysis.parts["psnr"].means
    baselines = {baseline.prefix: float(psnr[analysis.number(baseline)]) for baseline in analysis.baselines}
    rows = []
    for number, name in enumerate(analysis.names):
        is_trained = number < count
        lost_to = loses_to(float(psnr[number]), baselines) if is_trained else ""
        kind, verdict = _verdict(analysis, number, lost_to) if is_trained else (Kind.BASELINE, "no model")
        pair = analysis.pairs.get((number, analysis.best)) if is_trained else None
        rows.append(
            Row(
                name=name,
                configuration=analysis.configurations[number] if is_trained else None,
                rank=analysis.order.index(number) + 1 if is_trained else None,
                scores={score: of_score[number] for score, of_score in means.items()},
                gain=gains[number],
                to_best=None if number == analysis.best else to_best[number],
                to_reference=None if number == analysis.reference else to_reference[number],
                verdict=verdict,
                wins=pair.wins if pair and not math.isnan(pair.wins) else None,
                loses_to=lost_to,
                kind=kind,
            )
        )
    goodness = analysis.parts[analysis.score].means
    order = sorted(range(len(rows)), key=lambda number: (-goodness[number], number < count, rows[number].rank or 0))
    return [rows[number] for number in order]


def _shown(analysis: Analysis, other: int) -> list[Difference]:
    """The differences of the compared score from a configuration or baseline."""
    estimates = analysis.against(other, analysis.score)
    return [Difference(mean, interval) for mean, interval in analysis.shown(estimates)]


def _differences(estimates: Estimates) -> list[Difference]:
    return [Difference(mean, interval) for mean, interval in estimates.with_intervals()]


def _verdict(analysis: Analysis, number: int, lost_to: str) -> tuple[Kind, str]:
    """How a configuration compares with the best one, and whether it beats the baselines."""
    if lost_to:
        return Kind.LOSES, f"LOSES TO {lost_to.upper()}"
    kind, text = _place(analysis, number)
    with_input = analysis.pairs.get((number, analysis.reference))
    is_baseline = analysis.reference >= len(analysis.configurations)
    if with_input and is_baseline and with_input.on_checkpoints is not Verdict.BETTER:
        text += f", not clearly better than {analysis.names[analysis.reference]}"
    return kind, text


def _place(analysis: Analysis, number: int) -> tuple[Kind, str]:
    best = analysis.best
    if len(analysis.configurations) == 1:
        return Kind.RUN, "only one"
    if not analysis.possible_bests:
        return _place_of_checkpoint(analysis, number)
    if number not in analysis.decidable:
        return Kind.RUN, "no verdict: one training"
    if list(analysis.possible_bests) == [number]:
        return Kind.BEST, "best of those trained repeatedly" if analysis.undecidable_above else "best"
    if number != best and analysis.pairs[number, best].verdict is Verdict.EQUIVALENT:
        return Kind.EQUIVALENT, f"equivalent to {analysis.names[best]}"
    if number == best and analysis.all_equivalent:
        return Kind.BEST, "best, as others are"
    if number in analysis.possible_bests:
        return Kind.POSSIBLE, "may be the best"
    better = next(other for other in analysis.order if analysis.is_worse(number, other))
    return Kind.RUN, f"worse than {analysis.names[better]}"


def _place_of_checkpoint(analysis: Analysis, number: int) -> tuple[Kind, str]:
    if analysis.parts[analysis.score].within_df < 1:
        return Kind.RUN, "no verdict: too few photographs"
    if number == analysis.best:
        return Kind.RUN, f"{analysis.extreme}; no verdict"
    differs = analysis.pairs[number, analysis.best].on_checkpoints is Verdict.WORSE
    return Kind.RUN, f"these checkpoints {'differ' if differs else 'do not clearly differ'}; no verdict"
