"""Verdicts on pairs of configurations: better, worse, equivalent or undecided, for all pairs of a page together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy import stats

from sr.report.components import Components, Values
from sr.report.statistics import ALPHA, Estimates, Scope, contrasts, differences, holm


class Verdict(StrEnum):
    """What can be said of a configuration beside another one."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


_OPPOSITE = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}


@dataclass(frozen=True)
class Pair:
    """Two configurations compared: the difference of the first from the second.

    Attributes:
        difference: of the means, in the unit of the scores, with the sign that makes more the better.
        low: lower end of its 95 % interval.
        high: upper end.
        verdict: on the first; undecided where one of them was trained too few times for a verdict on configurations.
        p: that it is zero, adjusted for all claims of the page.
        p_equivalent: that it is outside the region of practical equivalence, adjusted likewise.
        wins: probability that a new training of the first scores higher than one of the second; nan where one of them
            was trained too few times.
    """

    difference: float
    low: float
    high: float
    verdict: Verdict
    p: float
    p_equivalent: float
    wins: float

    @property
    def reversed(self) -> "Pair":
        """The second compared with the first."""
        verdict = _OPPOSITE.get(self.verdict, self.verdict)
        return replace(self.of_distances, verdict=verdict, wins=1 - self.wins)

    @property
    def of_checkpoints(self) -> "Pair":
        """The same difference, without a verdict on the configurations that were trained."""
        return replace(self, verdict=Verdict.UNDECIDED, wins=float("nan"))

    @property
    def on_checkpoints(self) -> Verdict:
        """The verdict if it is about these trainings alone, whether or not there are enough for configurations."""
        return _verdict(self.difference, self.p, self.p_equivalent)

    @property
    def of_distances(self) -> "Pair":
        """The same verdict, with the sign that the difference has where less is better."""
        return replace(self, difference=-self.difference, low=-self.high, high=-self.low)


@dataclass(frozen=True)
class Claims:
    """What can be claimed of pairs of configurations: each is different, or is equivalent.

    Attributes:
        pairs: by their numbers.
        estimates: the differences of the first from the second.
        different: p values of the hypotheses that a pair is equal, adjusted for all claims by Holm's method.
        equivalent: those of the hypotheses that it differs by more than the region of equivalence, likewise.
    """

    pairs: Sequence[tuple[int, int]]
    estimates: Estimates
    different: Values
    equivalent: Values


def claims_on(
    parts: Components, pairs: Sequence[tuple[int, int]], rope: float, scope: Scope = Scope.LIKE_THESE
) -> Claims:
    """Test all pairs together: the probability that any claim is wrong is at most the p value it is held to.

    Of the two hypotheses on a pair, that it is equal and that it differs by more than the region of equivalence, only
    one can be true.
    """
    estimates = contrasts(parts, differences(len(parts.means), pairs), scope)
    most_true = len(pairs) if rope > 0 else 2 * len(pairs)
    adjusted = holm(np.concatenate([estimates.different(), estimates.equivalent(rope)]), most_true)
    return Claims(pairs, estimates, adjusted[: len(pairs)], adjusted[len(pairs) :])


def pairs_of(
    parts: Components, order: Sequence[tuple[int, int]], rope: float, scope: Scope = Scope.LIKE_THESE
) -> dict[tuple[int, int], Pair]:
    """Compare pairs of configurations, or of a configuration and a baseline; each is returned in both orders.

    Differences and equivalences are claims of one family, whose p values are adjusted by Holm's method: the probability
    that any verdict of a page is wrong is at most 5 %.

    Args:
        parts: the components of all configurations.
        order: the pairs, by their numbers.
        rope: differences up to this size are practically equivalent.
        scope: what the claims are about.
    """
    if not order:
        return {}
    claims = claims_on(parts, order, rope, scope)
    wins = _wins(parts, claims)
    differing = claims.estimates.with_intervals()
    pairs: dict[tuple[int, int], Pair] = {}
    for number, (a, b) in enumerate(order):
        difference, interval = differing[number]
        p, p_equivalent = float(claims.different[number]), float(claims.equivalent[number])
        pair = Pair(
            difference=difference,
            low=interval.low,
            high=interval.high,
            verdict=_verdict(difference, p, p_equivalent),
            p=p,
            p_equivalent=p_equivalent,
            wins=float(wins[number]),
        )
        pairs[a, b], pairs[b, a] = pair, pair.reversed
    return pairs


def _verdict(difference: float, p_different: float, p_equivalent: float) -> Verdict:
    """The verdict; a difference that is real but within the region of equivalence is too small to matter."""
    if p_equivalent <= ALPHA:
        return Verdict.EQUIVALENT
    if p_different <= ALPHA:
        return Verdict.BETTER if difference > 0 else Verdict.WORSE
    return Verdict.UNDECIDED


def _wins(parts: Components, claims: Claims) -> Values:
    """See `Pair.wins`."""
    first, second = (np.array(column) for column in zip(*claims.pairs, strict=True))
    estimates, variance = claims.estimates, parts.likely_training
    spread = np.sqrt(estimates.errors**2 + variance[first] + variance[second])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(spread > 0, estimates.values / spread, np.sign(estimates.values) * np.inf)
    wins: Values = stats.t.cdf(np.where(np.isnan(ratio), 0.0, ratio), estimates.df)
    return wins


def possible_bests(pairs: Mapping[tuple[int, int], Pair], among: Sequence[int]) -> list[int]:
    """The configurations that are not worse than any other; the best one is among them in 95 % of all pages."""
    return [a for a in among if not any(pairs[a, b].verdict is Verdict.WORSE for b in among if b != a)]
