import numpy as np
import pytest
from scipy import stats

from sr.report.statistics import (
    ALPHA,
    CONFIDENCE,
    LEAST_PAIRS,
    Values,
    bootstrap_interval,
    holm,
    main_effects,
    paired_p_value,
    pareto_front,
)

# Darwin's maize: heights of 15 pairs, Fisher 1935, chapter III; eighths of an inch, crossed minus self-fertilised.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_confidence_and_significance_levels() -> None:
    assert (CONFIDENCE, ALPHA) == (0.95, 0.05)


def test_paired_test_matches_a_hand_counted_wilcoxon_test() -> None:
    # Negative differences have the ranks 10 (-48) and 14 (-67): W = 24. Of the 2**15 sign combinations, those
    # with a rank sum of at most 24 are counted, twice.
    sign_counts = np.zeros(121)  # sign combinations per rank sum
    sign_counts[0] = 1
    for rank in range(1, 16):
        sign_counts[rank:] += sign_counts[:-rank].copy()
    assert [sorted(map(abs, MAIZE)).index(value) + 1 for value in (48, 67)] == [10, 14]
    expected = 2 * sign_counts[: 24 + 1].sum() / 2**15
    assert paired_p_value(MAIZE, [0] * 15) == pytest.approx(expected)
    assert paired_p_value([0] * 15, MAIZE) == pytest.approx(expected)
    assert paired_p_value(MAIZE, [0] * 15) == pytest.approx(stats.wilcoxon(MAIZE).pvalue)


def test_paired_test_depends_only_on_differences() -> None:
    shifted = [value + 1000 for value in MAIZE]
    assert paired_p_value(shifted, [1000] * 15) == paired_p_value(MAIZE, [0] * 15)


def test_equal_columns_and_too_few_pairs_are_never_significant() -> None:
    assert paired_p_value([1.0, 2.0], [1.0, 2.0]) == 1.0
    assert paired_p_value(np.arange(1.0, LEAST_PAIRS), np.zeros(LEAST_PAIRS - 1)) > ALPHA
    assert paired_p_value(np.arange(1.0, LEAST_PAIRS + 1), np.zeros(LEAST_PAIRS)) < ALPHA


def test_few_pairs_give_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    paired_p_value([1.0, 2.0, 2.0], [0.0, 0.0, 2.0])
    assert not recwarn.list


def test_holm_steps_down_and_never_decreases() -> None:
    assert holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_lies_between_bonferroni_and_false_discovery_control() -> None:
    p_values = np.random.default_rng(0).uniform(0, 0.2, 12)
    adjusted = np.array(holm(list(p_values)))
    bonferroni = np.minimum(1, p_values * len(p_values))
    by_fdr = stats.false_discovery_control(p_values, method="bh")
    assert (adjusted <= bonferroni + 1e-12).all()
    assert (adjusted >= by_fdr - 1e-12).all()


def test_bootstrap_interval_is_reproducible_and_close_to_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.2, 200)
    interval = bootstrap_interval(values)
    half_width = 1.96 * values.std(ddof=1) / 200**0.5
    assert interval == pytest.approx((values.mean() - half_width, values.mean() + half_width), abs=0.1 * half_width)
    assert bootstrap_interval(values) == interval
    assert bootstrap_interval([0.25, 0.25]) == (0.25, 0.25)
    assert bootstrap_interval([0.25]) == (0.25, 0.25)


def test_a_weighted_bootstrap_resamples_images_with_their_weights() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.2, 40)
    assert bootstrap_interval(values, [0.25] * 40) == bootstrap_interval(values)
    weights = np.where(np.arange(40) < 10, 3.0, 1.0)
    random = np.random.default_rng(0)
    picks = random.integers(0, 40, (20_000, 40))
    means = (values * weights)[picks].sum(1) / weights[picks].sum(1)
    assert bootstrap_interval(values, list(weights)) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.005)


def test_bootstrap_interval_uses_percentiles() -> None:
    # Two values: the mean of a resample is 0, 0.5 or 1 with probabilities 1/4, 1/2 and 1/4.
    assert bootstrap_interval([0.0, 1.0]) == (0.0, 1.0)
    skewed = np.array([0.0] * 9 + [10.0])
    resamples = np.random.default_rng(0).choice(skewed, (20_000, 10)).mean(axis=1)
    assert bootstrap_interval(skewed) == pytest.approx(np.percentile(resamples, [2.5, 97.5]), abs=1e-9)


def test_main_effects_match_a_hand_calculation_and_ignore_incomplete_combinations() -> None:
    images = np.array([-0.1, 0.1])  # the same in every cell: they cancel
    cells: dict[tuple[str, ...], Values] = {
        ("a", "mse"): 1.0 + images,
        ("a", "mae"): 2.0 + images,
        ("b", "mse"): 4.0 + images,
        ("b", "mae"): 7.0 + images,
        ("a", "vgg"): 100.0 + images,
    }
    models = main_effects(cells, 0)
    assert list(models) == ["a", "b"]
    assert (models["a"].mean, *models["a"].interval) == pytest.approx((-2.0, -2.0, -2.0))
    assert (models["b"].mean, *models["b"].interval) == pytest.approx((2.0, 2.0, 2.0))
    losses = main_effects(cells, 1)  # only model a has all three
    assert losses["vgg"].mean == pytest.approx(100 - 103 / 3)
    assert main_effects({("a",): images}, 0) == {}


def test_factor_without_a_complete_combination_has_no_effects() -> None:
    cells: dict[tuple[str, ...], Values] = {("a", "mse"): np.zeros(2), ("b", "mae"): np.ones(2)}
    assert main_effects(cells, 0) == {}


def test_the_interval_of_an_effect_comes_from_the_images() -> None:
    cells: dict[tuple[str, ...], Values] = {
        ("a",): np.array([0.0, 0.0, 0.0, 0.0]),
        ("b",): np.array([0.1, 0.3, 0.2, 0.4]),
    }
    effect = main_effects(cells, 0)["b"]
    assert effect.mean == pytest.approx(0.125)
    assert effect.interval == bootstrap_interval(np.array([0.05, 0.15, 0.1, 0.2]))


def test_the_pareto_front_keeps_undominated_points() -> None:
    assert pareto_front([1, 2, 2, 3, 4], [1, 3, 2, 3, 5]) == [True, True, False, False, True]
    assert pareto_front([1, 1], [2, 2]) == [True, True]
    assert pareto_front([1, float("nan")], [1, 2]) == [True, False]
