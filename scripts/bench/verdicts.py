"""How often the verdicts of `sr report` are wrong, and how often they find a difference, in simulated comparisons.

python -m scripts.bench.verdicts         # about an hour on one core; writes benchmarks/verdicts.json

Every condition simulates pages of several configurations and decides all of their pairs as `sr report` does. In `null`
pages all configurations are equal; they are identical, or differ from photograph to photograph though not on average.
In `better` pages one configuration is better by 0.10 dB, twice the region of practical equivalence.

``different`` and ``equivalent`` are the shares of pages in which the first pair, tested alone, is called so: errors
or power, depending on the page. ``wrong pages`` have a wrong "better" or "worse" among all pairs. In ``best missed``
the true best is not among the possible bests. ``found`` is the share of decided pairs with the better configuration.
"""

import argparse
import itertools
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scripts.bench.timing import save
from sr.report.analysis import score_array
from sr.report.comparison import find_comparisons
from sr.report.components import Values, components
from sr.report.statistics import ALPHA, contrasts
from sr.report.verdicts import Verdict, pairs_of, possible_bests

_ROPE = 0.05
_POWER = (100, 5)  # photographs and seeds with which differences are looked for
_OVERLAP = 0.2  # correlation between folds of what the training set does to a configuration, with five of them


@dataclass(frozen=True)
class Spread:
    """Standard deviations in dB: between photographs, trainings, and so on.

    Attributes:
        photograph: between photographs.
        training: between trainings of one configuration.
        noise: of what is specific to a training and a photograph.
        interaction: of what is specific to a configuration and a photograph.
        training_set: of what the training set of a fold does to a configuration.
        unstable: factor of the deviation between trainings for one in three configurations.
    """

    photograph: float = 3.58
    training: float = 0.040
    noise: float = 0.061
    interaction: float = 0.0
    training_set: float = 0.0
    unstable: float = 1.0


SPREADS = {
    "measured": Spread(),  # on six trainings of ESPCN on the demo photographs
    "interaction": Spread(interaction=0.10),
    "noisy trainings": Spread(training=0.15, interaction=0.05),
    "unstable configurations": Spread(interaction=0.05, unstable=6.0),
    "training sets": Spread(interaction=0.05, training_set=0.03),
}


def simulate(
    random: np.random.Generator, spread: Spread, means: Values, photographs: int, seeds: int, folds: int, missing: float
) -> tuple[Values, list[int]]:
    """Scores ``(C, T, P)`` of one page, nan for missing trainings, and the folds ``(P,)``."""
    count = len(means)
    fold = np.arange(photographs) % folds
    sd = np.where(np.arange(count) % 3 == 2, spread.unstable, 1.0)[:, None, None] * spread.training
    scores = means[:, None, None] + random.normal(0, spread.photograph, photographs)
    scores = scores + random.normal(0, 1, (count, 1, photographs)) * spread.interaction
    scores = scores + (random.normal(0, 1, (count, seeds, folds)) * sd)[:, :, fold]
    if folds > 1:
        common = random.normal(0, _OVERLAP**0.5, (count, 1, 1))
        own = random.normal(0, (1 - _OVERLAP) ** 0.5, (count, 1, folds))
        scores = scores + ((common + own) * spread.training_set)[:, :, fold]
    scores = scores + random.normal(0, spread.noise, (count, seeds, photographs))
    lost = random.random((count, seeds, folds)) < missing
    lost[:, :2] = False  # a configuration with a single training has no verdict
    scores[lost[:, :, fold]] = np.nan
    return scores, fold.tolist()


def measure(spread: Spread, kind: str, pages: int, count: int, **design: Any) -> dict[str, float]:
    """Shares of wrong and right verdicts over simulated pages."""
    random = np.random.default_rng(23)
    means = np.zeros(count)
    means[0] = {"null": 0.0, "better": 2 * _ROPE}[kind]
    among = range(count)
    tally = {"different": 0.0, "wrong pages": 0.0, "best missed": 0.0, "found": 0.0, "equivalent": 0.0}
    for _ in range(pages):
        scores, fold = simulate(random, spread, means, **design)
        parts = components(scores, fold, [False] * count)
        pairs = pairs_of(parts, list(itertools.combinations(among, 2)), _ROPE)
        with_first = [pairs[0, other].verdict for other in range(1, count)]
        alone = contrasts(parts, np.eye(count)[[0]] - np.eye(count)[[1]])
        single_p = float(alone.different()[0])
        equal = [pairs[a, b].verdict for a, b in itertools.combinations(among, 2) if means[a] == means[b]]
        wrong = [verdict in (Verdict.BETTER, Verdict.WORSE) for verdict in equal]
        wrong += [verdict is Verdict.WORSE for verdict in with_first if means[0] > 0]
        tally["wrong pages"] += any(wrong)
        tally["different"] += single_p <= ALPHA
        tally["best missed"] += 0 not in possible_bests(pairs, among)
        tally["found"] += sum(verdict is Verdict.BETTER for verdict in with_first) / len(with_first)
        tally["equivalent"] += float(alone.equivalent(_ROPE)[0]) <= ALPHA
    return {name: round(total / pages, 4) for name, total in tally.items()}


def regroup(cell: Path, pages: int) -> None:
    """Split the trainings of one configuration into configurations of three at random, and count what is told apart."""
    (comparison,) = find_comparisons([cell]).comparisons
    scores, folds = score_array(comparison, [], "psnr")
    random = np.random.default_rng(23)
    count = scores.shape[1] // 3
    called: Counter[Verdict] = Counter()
    for _ in range(pages):
        chosen = random.permutation(scores.shape[1])[: 3 * count]
        parts = components(scores[0, chosen].reshape(count, 3, -1), folds, [False] * count)
        order = list(itertools.combinations(range(count), 2))
        pairs = pairs_of(parts, order, _ROPE)
        called.update(pairs[pair].verdict for pair in order)
    shares = {str(verdict): round(number / called.total(), 4) for verdict, number in called.items()}
    print(f"{scores.shape[1]} trainings in {count} configurations of three: {shares} of {called.total()} pairs")


def main() -> None:
    """Simulate every condition, print a line for each and write all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--configurations", type=int, default=27)
    parser.add_argument("--photographs", type=int, nargs="+", default=[14, 100, 1000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--kinds", nargs="+", default=["better", "null"])
    parser.add_argument("--spreads", nargs="+", default=list(SPREADS))
    for name in ("photograph", "training", "noise", "interaction", "training_set", "unstable"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, help="of another set of components, in dB")
    parser.add_argument("--cell", type=Path, help="regroup the trainings of a real cell instead, as seeds=30 makes")
    options = parser.parse_args()
    if options.cell:
        regroup(options.cell, options.pages)
        return
    given = {
        name: value for name, value in vars(options).items() if name in Spread.__annotations__ and value is not None
    }
    spreads = {"given": replace(Spread(), **given)} if given else {name: SPREADS[name] for name in options.spreads}
    rows: list[dict[str, Any]] = []
    for (name, spread), kind, photographs, seeds, folds, missing in itertools.product(
        spreads.items(), options.kinds, options.photographs, options.seeds, (1, 5), (0.0, 0.1)
    ):
        if kind != "null" and (photographs, seeds) != _POWER:
            continue
        begun = time.perf_counter()
        condition = {"photographs": photographs, "seeds": seeds, "folds": folds, "missing": missing}
        shares = measure(spread, kind, options.pages, options.configurations, **condition)
        rows.append({"spread": name, "kind": kind, **condition, **shares})
        print(rows[-1], f"{time.perf_counter() - begun:.0f} s", flush=True)
    save("verdicts", rows, pages=options.pages, configurations=options.configurations)


if __name__ == "__main__":
    main()
