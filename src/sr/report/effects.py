"""What each choice of model, loss and optimizer is worth, averaged over the others, and where choices interact."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sr.report.analysis import Analysis
from sr.report.components import Values
from sr.report.statistics import Interval, contrasts, effect_weights

FACTORS = ("model", "loss", "optimizer")


@dataclass(frozen=True)
class FactorLevel:
    """Mean score of a level of a factor less that of all levels, in the unit of the score.

    Attributes:
        factor: one of `FACTORS`; of two that interact, both.
        level: its level; of two that interact, both.
        mean: the difference; of an interaction, what the two levels together have beyond the sum of their effects.
        interval: its 95 % interval.
    """

    factor: str
    level: str
    mean: float
    interval: Interval


def main_effects(analysis: Analysis) -> list[FactorLevel]:
    """The main effect of every level of every factor that has several; empty if no combination is complete."""
    cells = [configuration.cell for configuration in analysis.configurations]
    labels, weights = [], []
    for position, factor in enumerate(FACTORS):
        for level, of_level in effect_weights(cells, position).items():
            labels.append((factor, level))
            weights.append(of_level)
    return _estimated(analysis, labels, weights)


def interactions(analysis: Analysis) -> list[FactorLevel]:
    """The interactions of two factors that are larger than the region of practical equivalence, intervals and all.

    Only if every combination of all levels exists: otherwise they cannot be told from main effects.
    """
    cells = [configuration.cell for configuration in analysis.configurations]
    levels = [sorted({cell[position] for cell in cells}) for position in range(len(FACTORS))]
    if len(cells) != np.prod([len(of_factor) for of_factor in levels]):
        return []
    labels, weights = [], []
    for first, second in combinations(range(len(FACTORS)), 2):
        if min(len(levels[first]), len(levels[second])) < 2:
            continue
        for one in levels[first]:
            for other in levels[second]:
                labels.append((f"{FACTORS[first]} and {FACTORS[second]}", f"{one} with {other}"))
                weights.append(_interaction(cells, {first: one, second: other}, levels))
    exceeding = [
        effect
        for effect in _estimated(analysis, labels, weights)
        if effect.interval.low > analysis.rope or effect.interval.high < -analysis.rope
    ]
    return sorted(exceeding, key=lambda effect: -abs(effect.mean))


def _interaction(cells: Sequence[tuple[str, ...]], wanted: dict[int, str], levels: Sequence[Sequence[str]]) -> Values:
    weights = np.ones(len(cells))
    for position, of_factor in enumerate(levels):
        column = [cell[position] for cell in cells]
        if position in wanted:
            weights *= [float(level == wanted[position]) - 1 / len(of_factor) for level in column]
        else:
            weights /= len(of_factor)
    return weights


def _estimated(analysis: Analysis, labels: Sequence[tuple[str, str]], weights: Sequence[Values]) -> list[FactorLevel]:
    if not labels:
        return []
    padded = np.zeros((len(labels), len(analysis.names)))
    padded[:, : len(analysis.configurations)] = np.stack(weights)
    estimates = contrasts(analysis.parts[analysis.score], padded, analysis.scope)
    return [
        FactorLevel(factor, level, mean, interval)
        for (factor, level), (mean, interval) in zip(labels, analysis.shown(estimates), strict=True)
    ]
