from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from sr.report.components import components
from sr.report.statistics import contrasts, holm
from sr.report.verdicts import Verdict, pairs_of, possible_bests

ROPE = 0.05


def scores(means: list[float], *, trainings: int = 5, photographs: int = 40, seed: int = 0) -> np.ndarray:
    """Scores of configurations with a standard deviation of 0.02 between trainings, and 0.03 of noise."""
    random = np.random.default_rng(seed)
    shape = (len(means), trainings, photographs)
    by_training = random.normal(0, 0.02, (*shape[:2], 1))
    return np.asarray(
        random.normal(30, 3, photographs) + np.array(means)[:, None, None] + by_training + random.normal(0, 0.03, shape)
    )


def all_pairs(count: int) -> list[tuple[int, int]]:
    return list(combinations(range(count), 2))


def test_better_worse_equivalent_and_undecided() -> None:
    values = scores([0.5, 0.0, 0.0])
    values[2] += np.where(np.arange(40) % 2, 0.6, -0.5)  # better on some photographs, worse on others
    pairs = pairs_of(components(values, [0] * 40, [False] * 3), all_pairs(3), ROPE)
    assert (pairs[0, 1].verdict, pairs[1, 0].verdict) == (Verdict.BETTER, Verdict.WORSE)
    assert pairs[1, 2].verdict is pairs[2, 1].verdict is Verdict.UNDECIDED
    same = pairs_of(components(scores([0.0, 0.0]), [0] * 40, [False] * 2), [(0, 1)], ROPE)
    assert same[0, 1].verdict is same[1, 0].verdict is Verdict.EQUIVALENT


def test_a_real_difference_that_is_too_small_to_matter_is_equivalent() -> None:
    values = scores([0.03, 0.0], trainings=50, photographs=200)
    pair = pairs_of(components(values, [0] * 200, [False] * 2), [(0, 1)], ROPE)[0, 1]
    assert pair.p < 0.05
    assert pair.verdict is Verdict.EQUIVALENT


def test_the_reverse_of_a_pair_says_the_same() -> None:
    pair = pairs_of(components(scores([0.3, 0.0]), [0] * 40, [False] * 2), [(0, 1)], ROPE)[0, 1]
    assert pair.reversed.reversed == pair
    assert (pair.reversed.low, pair.reversed.high) == (-pair.high, -pair.low)
    assert pair.wins + pair.reversed.wins == 1


def test_p_values_are_adjusted_for_all_claims_of_the_page() -> None:
    values = scores([0.05, 0.02, 0.0, 0.0])
    parts = components(values, [0] * 40, [False] * 4)
    weights = np.array([np.eye(4)[a] - np.eye(4)[b] for a, b in all_pairs(4)])
    estimates = contrasts(parts, weights)
    expected = holm(
        [*estimates.different(), *estimates.equivalent(ROPE)], most_true=6
    )  # a pair has one true hypothesis
    pairs = pairs_of(parts, all_pairs(4), ROPE)
    assert [pairs[pair].p for pair in all_pairs(4)] == pytest.approx(expected[:6])
    assert [pairs[pair].p_equivalent for pair in all_pairs(4)] == pytest.approx(expected[6:])


def test_the_probability_of_winning_is_that_of_new_trainings() -> None:
    values = scores([0.02, 0.0], trainings=200, photographs=400, seed=1)
    parts = components(values, [0] * 400, [False] * 2)
    pair = pairs_of(parts, [(0, 1)], ROPE)[0, 1]
    means = values.mean(axis=2)
    observed = np.mean(means[0][:, None] > means[1][None])
    assert pair.wins == pytest.approx(observed, abs=0.03)
    assert pair.wins == pytest.approx(stats.norm.cdf(0.02 / (0.02 * 2**0.5)), abs=0.06)


def test_trainings_count_in_the_probability_of_winning_where_each_fold_was_trained_once() -> None:
    """What folds differ by then includes them; without it, the means of many folds would make the better one sure."""
    photographs, folds = np.arange(400), np.arange(400) // 20
    values = scores([0.02, 0.0], trainings=20, photographs=400, seed=1)[:, folds, photographs][:, None]
    pair = pairs_of(components(values, list(folds), [False] * 2), [(0, 1)], ROPE)[0, 1]
    assert pair.wins == pytest.approx(stats.norm.cdf(0.02 / (0.02 * 2**0.5)), abs=0.08)


def test_a_configuration_with_one_seed_varies_at_least_as_those_with_several() -> None:
    """Others that were trained repeatedly dilute what folds differ by."""
    photographs, folds = np.arange(400), np.arange(400) // 20
    values = scores([0.02, 0.0, 0.0], trainings=20, photographs=400, seed=1)
    values = np.stack([values[:, (folds + shift) % 20, photographs] for shift in range(3)], axis=1)
    values[0, 1:] = np.nan  # the first was trained once a fold, the others three times
    parts = components(values, list(folds), [False] * 3)
    assert np.isnan(parts.training[0])
    assert parts.likely_training[0] >= parts.training[1:].mean()
    pair = pairs_of(parts, [(0, 1)], ROPE)[0, 1]
    assert pair.wins == pytest.approx(stats.norm.cdf(0.02 / (0.02 * 2**0.5)), abs=0.1)


def test_possible_bests_are_not_worse_than_any_other() -> None:
    pairs = pairs_of(components(scores([0.4, 0.4, 0.0]), [0] * 40, [False] * 3), all_pairs(3), ROPE)
    assert possible_bests(pairs, range(3)) == [0, 1]
    assert possible_bests(pairs, [2]) == [2]
    assert pairs_of(components(scores([0.4]), [0] * 40, [False]), [], ROPE) == {}


@pytest.mark.parametrize("folds", [1, 5])
def test_identical_configurations_are_rarely_called_different(folds: int) -> None:
    """The rate is 41 % for a signed-rank test over the photographs of one training each; see scripts.bench.verdicts."""
    wrong_pairs = wrong_pages = 0
    for page in range(150):
        random = np.random.default_rng(page)
        fold = np.arange(15) % folds
        values = random.normal(30, 3.58, 15) + random.normal(0, 0.040, (6, 3, folds))[:, :, fold]
        values = values + random.normal(0, 0.061, (6, 3, 15))
        parts = components(values, list(fold), [False] * 6)
        wrong_pairs += float(contrasts(parts, np.eye(6)[[0]] - np.eye(6)[[1]]).different()[0]) < 0.05
        verdicts = {pair.verdict for pair in pairs_of(parts, all_pairs(6), ROPE).values()}
        wrong_pages += Verdict.BETTER in verdicts
    assert wrong_pairs <= 13  # 7.5 expected, 13 or fewer in 98 % of cases
    assert wrong_pages <= 13
