import json
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from sr.report.components import Values, components
from sr.report.statistics import Scope, contrasts, effect_weights, holm, pareto_front

FITS = json.loads(Path(__file__).with_name("mixed_models.json").read_text())
DIFFERENCE = np.array([[1.0, -1.0]])


def simulated(
    configurations: int, trainings: int, photographs: int, *, training: float = 0.1, noise: float = 0.05, seed: int = 0
) -> Values:
    """Scores ``(C, T, P)`` of equal configurations."""
    random = np.random.default_rng(seed)
    scores = random.normal(30, 2, photographs) + random.normal(0, 0.1, (configurations, 1, photographs))
    scores = scores + random.normal(0, training, (configurations, trainings, 1))
    return np.asarray(scores + random.normal(0, noise, (configurations, trainings, photographs)))


@pytest.mark.parametrize("number", range(len(FITS)))
def test_components_and_standard_errors_are_those_of_a_mixed_model(number: int) -> None:
    """statsmodels' MixedLM by restricted maximum likelihood, as `scripts.bench.mixed_models` stored it."""
    fit = FITS[number]
    scores = np.array(fit["scores"])
    _, trainings, photographs = scores.shape
    parts = components(scores, [0] * photographs, [False, False])
    estimates = contrasts(parts, -DIFFERENCE)
    noise = parts.noise.mean()
    interaction = (parts.within[0, 0] + parts.within[1, 1] - 2 * parts.within[0, 1]) / 2 - noise / trainings
    assert estimates.values[0] == pytest.approx(fit["difference"], abs=1e-6)
    assert estimates.errors[0] == pytest.approx(fit["error"], rel=0.01)
    assert noise == pytest.approx(fit["noise"], rel=0.01)
    assert interaction == pytest.approx(fit["interaction"], rel=0.01)
    assert parts.training.mean() - noise / photographs == pytest.approx(fit["training"], rel=0.01)


def test_one_training_each_is_a_paired_t_test_over_photographs() -> None:
    scores = simulated(2, 1, 12)
    parts = components(scores, [0] * 12, [False, False])
    assert np.isnan(parts.training).all()
    estimates = contrasts(parts, DIFFERENCE)
    expected = stats.ttest_rel(scores[0, 0], scores[1, 0])
    assert estimates.different()[0] == pytest.approx(expected.pvalue)
    low, high = estimates.intervals()
    assert (low[0], high[0]) == pytest.approx(expected.confidence_interval(0.95))
    rope = 0.2
    one_sided = [
        stats.ttest_1samp(scores[0, 0] - scores[1, 0], -rope, alternative="greater").pvalue,
        stats.ttest_1samp(scores[0, 0] - scores[1, 0], rope, alternative="less").pvalue,
    ]
    assert estimates.equivalent(rope)[0] == pytest.approx(max(one_sided))


def test_on_the_same_photographs_it_is_the_t_test_of_welch_over_trainings() -> None:
    scores = simulated(2, 5, 12)
    scores[1, 4] = np.nan  # four trainings of the second
    parts = components(scores, [0] * 12, [False, False])
    estimates = contrasts(parts, DIFFERENCE, Scope.THESE)
    means = scores.mean(axis=2)
    expected = stats.ttest_ind(means[0], means[1, :4], equal_var=False)
    assert estimates.df[0] == pytest.approx(expected.df)
    assert estimates.different()[0] == pytest.approx(expected.pvalue)


def test_folds_are_corrected_for_the_overlap_of_their_training_sets() -> None:
    """Nadeau & Bengio (2003): (1 / folds + test share / training share) times the variance over folds."""
    of_fold = np.array([0.3, -0.1, 0.2, 0.4, 0.1])
    folds = [fold for fold in range(5) for _ in range(4)]
    photographs = np.random.default_rng(0).normal(30, 2, 20)
    scores = np.stack([photographs + of_fold[folds], photographs])[:, None]  # differs by fold alone
    estimates = contrasts(components(scores, folds, [False, False]), DIFFERENCE)
    assert estimates.values[0] == pytest.approx(of_fold.mean())
    assert estimates.errors[0] ** 2 == pytest.approx((1 / 5 + 1 / 4) * of_fold.var(ddof=1))
    assert estimates.df[0] == pytest.approx(4)


def test_the_difficulty_of_folds_is_no_spread_of_trainings() -> None:
    random = np.random.default_rng(0)
    folds = [0] * 10 + [1] * 10
    hard = np.where(np.array(folds) == 0, 25.0, 35.0)
    trainings = random.normal(0, 0.1, (1, 3, 2))[:, :, folds]
    parts = components(hard + trainings, folds, [False])
    expected = np.mean([trainings[0, :, fold].var(ddof=1) for fold in (0, 10)])
    assert parts.own_training[0] == pytest.approx(expected)
    assert parts.training_df[0] == 4


def test_missing_trainings_of_a_fold_count_by_what_is_there() -> None:
    scores = simulated(2, 3, 8)
    folds = [0, 0, 0, 0, 1, 1, 1, 1]
    scores[0, 2, :4] = np.nan
    parts = components(scores, folds, [False, False])
    assert parts.trainings.tolist() == [[2, 3], [3, 3]]
    assert parts.means[0] == pytest.approx((scores[0, :2, :4].mean() + scores[0, :, 4:].mean()) / 2)
    assert parts.training_df.tolist() == [3, 4]


def test_similar_variances_are_pooled() -> None:
    alike = simulated(6, 4, 10)
    parts = components(alike, [0] * 10, [False] * 6)
    own = alike.mean(axis=2).var(axis=1, ddof=1)
    assert stats.bartlett(*alike.mean(axis=2)).pvalue > 0.2
    assert parts.training == pytest.approx(np.full(6, own.mean()))
    assert parts.training_df.tolist() == [18] * 6
    assert parts.own_training == pytest.approx(own)


def test_unlike_variances_are_moderated_by_the_others() -> None:
    scores = simulated(6, 4, 10)
    scores[0] += np.array([-1.0, 1, 0, 0])[:, None]  # unstable
    parts = components(scores, [0] * 10, [False] * 6)
    own = scores.mean(axis=2).var(axis=1, ddof=1)
    assert stats.bartlett(*scores.mean(axis=2)).pvalue < 0.2
    # Smyth (2004), section 6.2, with 3 degrees of freedom each; the variance of the logarithms plus its standard error.
    logarithms = np.log(own) - special.digamma(1.5) + np.log(1.5)
    unlike = logarithms.var(ddof=1) * (1 + (2 / 5) ** 0.5) - special.polygamma(1, 1.5)
    prior_df = float(parts.training_df[0]) - 3
    assert special.polygamma(1, prior_df / 2) == pytest.approx(unlike)
    prior = np.exp(logarithms.mean() + special.digamma(prior_df / 2) - np.log(prior_df / 2))
    moderated = (prior_df * prior + 3 * own) / (prior_df + 3)
    assert parts.training == pytest.approx(np.maximum(moderated, own))
    assert parts.training[0] == own[0]  # not less than its own
    assert (parts.training[1:] >= own[1:]).all()
    assert parts.is_cautious
    assert contrasts(parts, np.eye(6)[[0]] - np.eye(6)[[1]], Scope.THESE).df[0] <= prior_df + 3


def test_trainings_that_all_agree_keep_a_variance_of_zero() -> None:
    scores = np.broadcast_to(np.arange(5.0), (6, 3, 5)).copy()
    scores[0, 0] += 1.0
    parts = components(scores, [0] * 5, [False] * 6)
    assert parts.training.tolist() == pytest.approx([1 / 3, 0, 0, 0, 0, 0])
    assert parts.training_df.tolist() == [2] * 6


def test_an_unstable_configuration_of_few_trainings_does_not_blur_the_others() -> None:
    scores = simulated(5, 8, 10)
    scores[0] += np.linspace(-3, 3, 8)[:, None]
    scores[0, 3:] = np.nan
    weights = np.eye(5)[[0, 1]] - np.eye(5)[[2, 3]]
    parts = components(scores, [0] * 10, [False] * 5)
    first, second = contrasts(parts, weights, Scope.THESE).df
    assert 2 < first < 7 < second
    scores[1:4] = scores[1:4].mean(axis=1, keepdims=True)  # trainings that agree by chance, as three do now and then
    scores[1:4, 0] += 1e-4
    parts = components(scores, [0] * 10, [False] * 5)
    # Not more, though nearly all of its variance is that of photographs.
    assert contrasts(parts, weights).df[1] == pytest.approx(parts.training_df[1])


def test_a_baseline_has_no_variance_of_trainings() -> None:
    scores = np.full((2, 4, 10), np.nan)
    scores[0] = simulated(1, 4, 10)[0]
    scores[1, 0] = scores[0].mean(axis=0) - 1.0
    parts = components(scores, [0] * 10, [False, True])
    estimates = contrasts(parts, DIFFERENCE, Scope.THESE)
    expected = stats.ttest_1samp(scores[0].mean(axis=1), scores[1, 0].mean())
    assert (estimates.values[0], estimates.df[0]) == pytest.approx((1.0, 3))
    assert estimates.different()[0] == pytest.approx(expected.pvalue)


def test_every_photograph_needs_a_score() -> None:
    scores = simulated(2, 2, 5)
    scores[1, :, 3] = np.nan
    with pytest.raises(ValueError, match="every photograph"):
        components(scores, [0] * 5, [False, False])


def test_equal_scores_are_not_different_and_equivalent() -> None:
    scores = np.broadcast_to(np.arange(5.0), (2, 3, 5))
    estimates = contrasts(components(scores, [0] * 5, [False, False]), DIFFERENCE)
    assert (estimates.errors[0], estimates.different()[0], estimates.equivalent(0.05)[0]) == (0, 1, 0)


def test_holm_adjusts_step_by_step_and_keeps_the_order_of_the_values() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]).tolist() == []
    assert holm([0.01, 0.01, 0.5, 0.02], most_true=2) == pytest.approx([0.02, 0.02, 0.5, 0.04])


def test_main_effects_are_differences_from_the_mean_of_complete_combinations() -> None:
    cells = [("espcn", "mse"), ("espcn", "mae"), ("vdsr", "mse"), ("vdsr", "mae"), ("edsr", "vgg")]
    scores = np.array([1.0, 2.0, 3.0, 4.0, 99.0])
    assert not effect_weights(cells, 0)  # edsr is in no combination that all models have
    weights = effect_weights(cells[:4], 0)
    assert {level: of_level @ scores[:4] for level, of_level in weights.items()} == {"espcn": -1.0, "vdsr": 1.0}
    assert all(of_level.sum() == pytest.approx(0) for of_level in weights.values())
    assert effect_weights([("espcn", "mse")], 0) == {}


def test_a_missing_cell_favours_no_level() -> None:
    cells = [("espcn", "mse"), ("espcn", "mae"), ("vdsr", "mse")]
    weights = effect_weights(cells, 0)
    assert weights["vdsr"].tolist() == [-0.5, 0.0, 0.5]  # espcn with mae has no counterpart


def test_the_pareto_front_leaves_out_what_is_worse_in_both() -> None:
    assert pareto_front([1, 2, 3, 3], [30, 29, 31, 31]) == [True, False, True, True]
    assert pareto_front([float("nan"), 2], [40, 29]) == [False, True]
