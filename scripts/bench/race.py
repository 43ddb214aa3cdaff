"""Does a race name the winners that the full design names, and at which share of its trainings?

python -m scripts.bench.race             # about 12 minutes on one core; writes benchmarks/race.json

Every replay draws the scores of a full design, 10 trainings of each of 6 configurations, and lets `sr.race.policy`
uncover them training by training. The winners are the configurations that may be the best: as `sr report` says it of
all scores, and as the race says it of those that it uncovered.
"""

import argparse
import itertools
import time
from typing import Any

import numpy as np

from scripts.bench.timing import save
from scripts.bench.verdicts import SPREADS, Spread, simulate
from sr.race.policy import LEAST, next_round
from sr.report.components import Values, components
from sr.report.verdicts import pairs_of, possible_bests

_ROPE = 0.05
_CONFIGURATIONS, _SEEDS = 6, 10
MEANS = {  # dB below the best
    "a clear winner": [0.0, 0.3, 0.4, 0.5, 0.6, 0.8],
    "two close": [0.0, 0.02, 0.3, 0.4, 0.5, 0.6],
    "steps of a rope": [0.0, 0.05, 0.1, 0.15, 0.2, 0.25],
    "one is 0.1 better": [0.0, 0.1, 0.1, 0.1, 0.1, 0.1],
    "all equal": [0.0] * 6,
}


def winners_of(scores: Values, folds: list[int]) -> list[int]:
    """The configurations that may be the best, as `sr report` decides it."""
    numbers = range(len(scores))
    parts = components(scores, folds, [False] * len(scores))
    return possible_bests(pairs_of(parts, list(itertools.combinations(numbers, 2)), _ROPE), numbers)


def race(scores: Values, folds: list[int]) -> tuple[list[int], int]:
    """Winners of a race over scores ``(C, T, P)`` that are uncovered in order, and the trainings that it used."""
    counts = np.full(len(scores), LEAST)
    while True:
        known = np.where(np.arange(scores.shape[1])[None, :, None] < counts[:, None, None], scores, np.nan)
        parts = components(known, folds, [False] * len(scores))
        following = next_round(parts, [1.0] * len(scores), _ROPE, most=scores.shape[1])
        if not following.trained:
            return list(following.bests), int(counts.sum())
        counts[list(following.trained)] += 1


def measure(spread: Spread, kind: str, replays: int, photographs: int) -> dict[str, float]:
    """Shares over replays."""
    random = np.random.default_rng(23)
    means = -np.array(MEANS[kind])
    best = np.flatnonzero(means == 0.0)
    tally = {"same winners": 0.0, "trainings": 0.0, "best lost": 0.0, "best lost by all": 0.0, "winners": 0.0}
    for _ in range(replays):
        scores, folds = simulate(random, spread, means, photographs, _SEEDS, 1, 0.0)
        full = winners_of(scores, folds)
        winners, used = race(scores, folds)
        tally["same winners"] += winners == full
        tally["trainings"] += used / (len(scores) * _SEEDS)
        tally["best lost"] += not set(best) <= set(winners)
        tally["best lost by all"] += not set(best) <= set(full)
        tally["winners"] += len(winners)
    return {name: round(total / replays, 3) for name, total in tally.items()}


def main() -> None:
    """Run every scenario, print a line for each and write all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replays", type=int, default=200)
    parser.add_argument("--photographs", type=int, nargs="+", default=[14, 100])
    parser.add_argument("--spreads", nargs="+", default=["measured", "interaction", "noisy trainings"])
    parser.add_argument("--kinds", nargs="+", default=list(MEANS))
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, kind, photographs in itertools.product(options.spreads, options.kinds, options.photographs):
        begun = time.perf_counter()
        shares = measure(SPREADS[name], kind, options.replays, photographs)
        rows.append({"spread": name, "kind": kind, "photographs": photographs, **shares})
        print(rows[-1], f"{time.perf_counter() - begun:.0f} s", flush=True)
    save("race", rows, replays=options.replays, configurations=_CONFIGURATIONS, seeds=_SEEDS)


if __name__ == "__main__":
    main()
