"""What to see in each plot of a report: its title, and a sentence or two about these results."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from sr.report.analysis import Analysis
from sr.report.board import Row
from sr.report.effects import FactorLevel
from sr.report.formats import interval
from sr.report.run import Configuration
from sr.report.verdicts import Verdict
from sr.runs.scores import over_trainings_by_epoch

_STILL_RISING = 0.05  # dB between the last two validations: what matters of PSNR
_LISTED = 3
CHECKPOINTS_ALONE = "Too few trainings for a verdict: the intervals are about these checkpoints."


class Caption(NamedTuple):
    """Of a plot: what it shows in a few words, and what to see in it."""

    title: str
    text: str


def differences(analysis: Analysis) -> Caption:
    """Of the differences from the best configuration."""
    possible, count = len(analysis.possible_bests), len(analysis.configurations)
    seen = f"{possible} of {count} may be the best (blue)." if possible else CHECKPOINTS_ALONE
    return Caption(
        "Distance from the best mean",
        f"{seen} An interval (95 %) that reaches the shaded region may be a difference too small to matter; bars on "
        "the right join configurations of which none is worse than another.",
    )


def matrix(analysis: Analysis) -> Caption:
    """Of the verdicts on all pairs."""
    numbers = range(len(analysis.configurations))
    pairs = [analysis.pairs[pair].verdict for pair in combinations(numbers, 2)]
    apart = sum(verdict in (Verdict.BETTER, Verdict.WORSE) for verdict in pairs)
    unknown = sum(not analysis.decides(*pair) for pair in combinations(numbers, 2))
    few = f", and {unknown} have too few trainings for a verdict" if unknown else ""
    return Caption(
        "Who beats whom",
        f"{apart} of {len(pairs)} pairs are told apart{few}. Each cell is the verdict on the configuration of its row "
        "beside that of its column, by rank.",
    )


def heat_map(rows: Sequence[Row]) -> Caption:
    """Of the gains of all combinations."""
    ranked = sorted((row for row in rows if row.configuration), key=lambda row: -row.gain.mean)
    best, worst = ranked[0], ranked[-1]
    return Caption(
        "Gain of each combination",
        f"From {best.gain.mean:+.2f} dB ({best.name}) to {worst.gain.mean:+.2f} dB ({worst.name}). Blue is above the "
        "unprocessed input, orange below it; a dash was not trained.",
    )


def effects(levels: Sequence[FactorLevel], analysis: Analysis) -> Caption:
    """Of the effect of each choice."""
    metric = analysis.metric
    caveat = f" {CHECKPOINTS_ALONE}" if analysis.undecidable else ""
    largest = max(levels, key=lambda level: abs(level.mean))
    clear = sum(level.interval.low > 0 or level.interval.high < 0 for level in levels)
    return Caption(
        "What each choice is worth",
        f"The largest effect is that of {largest.factor} {largest.level}: {largest.mean:+.{metric.digits}f} "
        f"{metric.of} ({interval(largest.interval, metric)}). {clear} of {len(levels)} intervals (95 %) exclude zero. "
        f"Averages over the other choices.{caveat}",
    )


def curves(configurations: Sequence[Configuration]) -> Caption:
    """Of the learning curves."""
    rising = [entry.name for entry in configurations if _is_rising(entry)]
    more = f", and {len(rising) - _LISTED} more" if len(rising) > _LISTED else ""
    seen = (
        f"Still rising at the end, so longer training may change the order: {'; '.join(rising[:_LISTED])}{more}."
        if rising
        else f"None gained more than {_STILL_RISING} dB between its last two validations."
    )
    return Caption(
        "Learning curves",
        f"{seen} Validation gain over epochs; the band is one standard deviation over trainings, or over the folds of "
        "a single one. The axis is cut off below where the curves end.",
    )


def _is_rising(configuration: Configuration) -> bool:
    every = [run.curve for run in configuration.runs]
    rows = every[0] if len(every) == 1 else over_trainings_by_epoch(every)
    gains = [row["val/gain"] for row in rows if "val/gain" in row]
    return len(gains) > 1 and gains[-1] - gains[-2] > _STILL_RISING


def cost(rows: Sequence[Row]) -> Caption:
    """Of gain against cost."""
    trained = [row for row in rows if row.configuration]
    best = max(trained, key=lambda row: row.gain.mean)
    return Caption(
        "What a gain costs",
        f"{best.name} gains most ({best.gain.mean:+.2f} dB). The line joins the configurations that nothing cheaper "
        "beats; those are named, or numbered by their rank where names would overlap. Times measured on a busy "
        "machine, or without a check, are hollow and not on the line; configurations far below the input are cut off.",
    )
