"""A race between configurations: which of them gets one more training, and when enough is known.

The verdicts on a folder are looked at after every round. A claim that settles a pair early therefore has to be surer
than on a page that is read once, and a pair is given up when more trainings would hardly settle it: what is left then
is due to the photographs, or too small to see (predictive power, Spiegelhalter et al. 1986).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from sr.report.components import Components, Values
from sr.report.statistics import ALPHA, differences
from sr.report.verdicts import Claims, claims_on

LEAST = 3  # trainings of each configuration before any is left out
MOST = 20

_STRICTER = 5.0  # how many times surer a claim has to be before the last look
_HARDLY = 0.05  # probability of a settled pair below which it is given up
_WORTH = 0.5  # of what the most useful training settles for its cost; less waits for a later round


@dataclass(frozen=True)
class Round:
    """What a race does next. Numbers are those of the configurations.

    Attributes:
        bests: the configurations that may be the best by what is known now, as a page that is read once would say it.
        trained: those that get one more training, the most useful one first; empty at the end of the race.
        given_up: undecided pairs of candidates that more trainings would hardly settle.
        is_decided: whether a single candidate is left, or all are equivalent.
    """

    bests: Sequence[int]
    trained: Sequence[int]
    given_up: Sequence[tuple[int, int]]
    is_decided: bool


def next_round(
    parts: Components,
    costs: Sequence[float],
    rope: float,
    *,
    most: int = MOST,
    left_out: Collection[int] = (),
    undecidable: Collection[int] = (),
) -> Round:
    """Choose the configurations that get one more training.

    Args:
        parts: the components of the scores; baselines may follow the configurations.
        costs: of one training of each configuration, in any unit.
        rope: the region of practical equivalence.
        most: trainings that a configuration gets in all.
        left_out: configurations that cannot be trained.
        undecidable: configurations with too few trainings for a verdict: any of them may be the best.
    """
    numbers = range(len(costs))
    counts = parts.trainings[: len(costs)].min(axis=1)
    may_train = [number for number in numbers if counts[number] < most and number not in left_out]
    if few := [number for number in may_train if counts[number] < min(LEAST, most)]:
        return Round(list(numbers), few, [], is_decided=False)
    known = [number for number in numbers if number not in undecidable]
    if len(known) < 2:
        return Round(list(numbers), [], [], is_decided=False)
    claims = claims_on(parts, list(combinations(known, 2)), rope)
    can_grow = np.array([bool({a, b} & set(may_train)) for a, b in claims.pairs])
    at = np.where(can_grow, ALPHA / _STRICTER, ALPHA)
    worse = _worse(claims, at)
    is_open = np.array([not {a, b} & worse for a, b in claims.pairs]) & (claims.equivalent > at)
    powers = _powers(parts, claims, rope, most)
    hopeful = [pair for pair, row, power in zip(claims.pairs, is_open, powers, strict=True) if row and power >= _HARDLY]
    gains = {number: _gain(parts, hopeful, number) / max(costs[number], 1e-9) for number in may_train}
    worth = [number for number in may_train if gains[number] > 0 and gains[number] >= _WORTH * max(gains.values())]
    undecided = [pair for pair, row in zip(claims.pairs, is_open, strict=True) if row]
    now_worse = _worse(claims, np.full(len(at), ALPHA))
    return Round(
        bests=[number for number in numbers if number not in now_worse],
        trained=sorted(worth, key=lambda number: -gains[number]),
        given_up=[pair for pair in undecided if pair not in hopeful or not worth],
        is_decided=not undecided and not undecidable,
    )


def _worse(claims: Claims, at: Values) -> set[int]:
    """The configurations that are worse than another one, each claim by the p value that it needs."""
    is_worse = (claims.different <= at) & (claims.equivalent > at)
    rows = zip(claims.pairs, claims.estimates.values, is_worse, strict=True)
    return {(a if difference < 0 else b) for (a, b), difference, claimed in rows if claimed}


def _powers(parts: Components, claims: Claims, rope: float, most: int) -> Values:
    """Probability that each pair is settled once both of its configurations have all of their trainings."""
    weights = differences(len(parts.means), claims.pairs)
    now = claims.estimates
    gained = np.minimum(weights**2 @ _reductions(parts, np.maximum(parts.trainings, most)), now.errors**2)
    error = np.sqrt(now.errors**2 - gained)  # at the end
    left = 2 * len(claims.pairs) - int((claims.different <= ALPHA).sum() + (claims.equivalent <= ALPHA).sum())
    df = 2.0 * (most - 1) * parts.folds
    needed_to_differ = stats.t.isf(ALPHA / (2 * max(1, left)), df) * error
    most_to_be_equal = rope - stats.t.isf(ALPHA / max(1, left), df) * error
    spread = np.sqrt(np.maximum(gained, 1e-30))
    differ = stats.norm.sf((needed_to_differ - now.values) / spread)
    differ += stats.norm.cdf((-needed_to_differ - now.values) / spread)
    equal = stats.norm.cdf((most_to_be_equal - now.values) / spread)
    equal -= stats.norm.cdf((-most_to_be_equal - now.values) / spread)
    powers: Values = differ + np.maximum(equal, 0.0)
    return powers


def _reductions(parts: Components, trainings: Values) -> Values:
    """By how much the variance of each configuration's mean falls with more trainings ``(C, F)``."""
    shares = (parts.photographs / parts.photographs.sum()) ** 2
    fewer = 1 / parts.trainings - 1 / trainings
    reductions: Values = parts.known_training * (fewer @ shares)
    return reductions


def _gain(parts: Components, pairs: Sequence[tuple[int, int]], number: int) -> float:
    """By how much one more training lowers the variance of the pairs that it is in."""
    reduction = float(_reductions(parts, parts.trainings + 1)[number])
    return reduction * sum(number in pair for pair in pairs)
