import numpy as np
import pytest

from sr.report.analysis import Analysis, analyse
from sr.report.comparison import find_comparisons
from sr.report.components import components
from sr.report.conclusions import advice, components_table, headline, in_other_scope, limits, needed
from sr.report.statistics import Scope
from tests.support.run_folders import RunFolders


def analysis_of(run_folders: RunFolders) -> Analysis:
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    return analyse(comparison)


def write(run_folders: RunFolders, name: str, gain: float, *, seeds: int = 3, sd: float = 0.02) -> None:
    random = np.random.default_rng(len(name) + int(1000 * abs(gain)))
    for seed in range(seeds):
        gains = gain + np.linspace(-0.3, 0.3, 12) + random.normal(0, sd) + random.normal(0, 0.01, 12)
        run_folders(f"{name}_{seed}", list(gains), names="abcdefghijkl", folds=None, seed=seed)


def test_one_best(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0)
    write(run_folders, "espcn_mse_adam", 0.5)
    text = headline(analysis_of(run_folders))
    assert text.startswith("vdsr is the best on photographs like these, by 0.4")
    assert text.endswith(" dB over the second, espcn; nothing else may be the best.")
    assert list(advice(analysis_of(run_folders))) == []


def test_several_possible_bests_and_what_would_decide(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.00, sd=0.05)
    write(run_folders, "edsr_mse_adam", 0.97, sd=0.05)
    write(run_folders, "espcn_mse_adam", 0.3, sd=0.05)
    analysis = analysis_of(run_folders)
    best, second = (analysis.names[number] for number in analysis.order[:2])
    assert headline(analysis) == f"2 of 3 configurations may be the best on photographs like these: {best}; {second}."
    (line,) = advice(analysis)
    assert line.startswith(f"{second} and {best}: ")


def test_possible_bests_that_do_not_clearly_beat_a_baseline_are_said_to_be_so(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 0.04, sd=0.05)
    write(run_folders, "edsr_mse_adam", 0.03, sd=0.05)
    text = headline(analysis_of(run_folders))
    assert text.startswith(
        "2 of 2 configurations may be the best on photographs like these, but none of them clearly beats input: "
    )


def test_one_training_each_asks_for_seeds(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0, seeds=1)
    write(run_folders, "espcn_mse_adam", 0.5, seeds=1)
    text = headline(analysis_of(run_folders))
    assert text.startswith("No verdict on configurations: each was trained once.")
    assert "checkpoints" in text
    assert text.endswith("whether the configurations do needs seeds=3 or more.")


def test_a_best_that_loses_to_a_baseline_is_said_first_thing(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", -0.5)
    write(run_folders, "espcn_mse_adam", -1.0)
    assert headline(analysis_of(run_folders)).endswith(
        "No configuration beats input: using no model at all would be better."
    )


def test_a_single_configuration_is_compared_with_the_strongest_baseline(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0)
    text = headline(analysis_of(run_folders))
    assert text.startswith("vdsr, mse, adam is the only configuration: +")
    assert text.endswith(" against input, on photographs like these.")
    assert " dB (+0." in text


def test_a_single_training_speaks_for_its_checkpoint(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0, seeds=1)
    assert headline(analysis_of(run_folders)).endswith("for this checkpoint: seeds=3 or more tells of others.")


def test_a_higher_mean_without_a_verdict_is_named_and_advice_is_on_the_others(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0)
    write(run_folders, "espcn_mse_adam", 0.5)
    write(run_folders, "edsr_mse_adam", 1.5, seeds=1)
    analysis = analysis_of(run_folders)
    assert headline(analysis).endswith("A higher mean, but too few trainings for a verdict: edsr.")
    assert list(advice(analysis)) == []


def test_limits_count_photographs_trainings_and_folds(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0)
    write(run_folders, "espcn_mse_adam", 0.5, seeds=2)
    write(run_folders, "edsr_mse_adam", 0.4, seeds=1)
    assert list(limits(analysis_of(run_folders))) == [
        "Rests on 12 photographs, 1 to 3 trainings of each configuration, one split: another training set may change "
        "the result.",
        "Too few trainings for a verdict: edsr; seeds=3 or more gives one.",
    ]


def simulated(difference: float, *, training: float, interaction: float) -> np.ndarray:
    """Scores of two configurations with three trainings and ten photographs whose components are exactly as wanted."""
    photographs = np.array([1.0, -1.0] * 5) * interaction * (0.9 / 2) ** 0.5
    trainings = np.array([-1.0, 0.0, 1.0])[:, None] * training
    return np.stack([difference + photographs + trainings, -photographs - trainings])


@pytest.mark.parametrize(
    ("training", "interaction", "expected"),
    [
        (0.03, 0.0, "about 1 more seed of each would decide"),
        (0.06, 0.0, "about 4 more seeds of each would decide"),
        (0.001, 0.15, "no number of seeds will do, but about 40 photographs in all would"),
        (0.05, 0.12, "needs more of both: about 5 more seeds of each, and 50 photographs"),
        (3.0, 0.0, "no realistic number of seeds or photographs will decide"),
    ],
)
def test_needed_names_the_smallest_number_that_settles_a_pair(
    training: float, interaction: float, expected: str
) -> None:
    """For one claim and a power of 80 %, a difference of 0.1 has to be the sum of two quantiles of Student's t.

    With n trainings of each of two configurations, those have 2 (n - 1) degrees of freedom.
    """
    parts = components(simulated(0.1, training=training, interaction=interaction), [0] * 10, [False, False])
    assert needed(parts, 0, 1, rope=0.05, claims=1) == expected


def test_sources_of_variation_are_those_that_were_put_in() -> None:
    parts = components(simulated(0.1, training=0.03, interaction=0.15), [0] * 10, [False, False])
    assert parts.training.tolist() == pytest.approx([0.0009, 0.0009])


def test_the_table_of_components(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0, seeds=5, sd=0.1)
    write(run_folders, "espcn_mse_adam", 0.5, seeds=5, sd=0.1)
    table = dict(components_table(analysis_of(run_folders)))
    assert table["between trainings of a configuration"] == pytest.approx(0.1, rel=0.6)
    assert table["training x photograph"] == pytest.approx(0.01, rel=0.3)
    assert table["configuration x photograph"] < 0.01


def test_a_higher_mean_of_one_training_is_said_beside_the_best(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0)
    write(run_folders, "espcn_mse_adam", 0.5)
    write(run_folders, "edsr_mse_adam", 2.0, seeds=1)
    text = headline(analysis_of(run_folders))
    assert text.startswith("vdsr is the best on photographs like these, ")
    assert "; no other that was trained repeatedly may be the best." in text
    assert text.endswith(" A higher mean, but too few trainings for a verdict: edsr.")


@pytest.mark.parametrize(
    ("groups", "folds", "reason"),
    [("pppp", None, "all images are of one photograph"), ("ppqq", (0, 0, 1, 1), "each fold has one photograph")],
)
def test_too_few_photographs_are_named(
    run_folders: RunFolders, groups: str, folds: tuple[int, ...] | None, reason: str
) -> None:
    for model in ("vdsr", "espcn"):
        for seed in range(2):
            run_folders(f"{model}_mse_adam_{seed}", [0.1 * seed] * 4, folds=folds, seed=seed, groups=list(groups))
    assert headline(analysis_of(run_folders)).startswith(f"No verdict: {reason}, so nothing can be said of others")


def both_scopes(run_folders: RunFolders) -> tuple[Analysis, Analysis]:
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    like, these = (analyse(comparison, scope=scope) for scope in Scope)
    return like, these


def test_the_other_scope_is_said_in_a_sentence(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0)
    write(run_folders, "espcn_mse_adam", 0.5)
    like, these = both_scopes(run_folders)
    assert in_other_scope(these, like) == "The same holds on exactly these images."
    assert in_other_scope(like, these) == "The same holds on photographs like these."


def test_a_result_on_these_images_alone_is_said_to_be_so(run_folders: RunFolders) -> None:
    """Configurations that differ much from photograph to photograph, and hardly between trainings."""
    random = np.random.default_rng(0)
    for model, gain in (("vdsr", 0.6), ("espcn", 0.5)):
        of_image = gain + random.normal(0, 0.5, 12)
        for seed in range(3):
            gains = of_image + random.normal(0, 0.002, 12)
            run_folders(f"{model}_mse_adam_{seed}", list(gains), names="abcdefghijkl", folds=None, seed=seed)
    like, these = both_scopes(run_folders)
    best = these.names[these.best]
    assert in_other_scope(these, like) == f"On exactly these images, {best} is the best."
    assert in_other_scope(like, these).startswith("On photographs like these, 2 may be the best: ")


def test_equivalence_in_one_scope_is_not_claimed_in_the_other(run_folders: RunFolders) -> None:
    random = np.random.default_rng(0)
    offsets = random.normal(0, 0.2, 12)
    for model, sign in (("vdsr", 1), ("espcn", -1)):
        for seed in range(3):
            gains = 0.5 + sign * (offsets - offsets.mean()) + random.normal(0, 0.002, 12)
            run_folders(f"{model}_mse_adam_{seed}", list(gains), names="abcdefghijkl", folds=None, seed=seed)
    like, these = both_scopes(run_folders)
    assert these.all_equivalent
    assert in_other_scope(like, these) == (
        "On photographs like these, the same may be the best, but it is not shown that they are equivalent."
    )
    assert in_other_scope(these, like) == "On exactly these images, the same are the best, and equivalent."


def test_without_verdicts_in_the_other_scope_nothing_is_said(run_folders: RunFolders) -> None:
    write(run_folders, "vdsr_mse_adam", 1.0, seeds=1)
    write(run_folders, "espcn_mse_adam", 0.5, seeds=1)
    like, these = both_scopes(run_folders)
    assert in_other_scope(these, like) == ""


def test_what_is_known_of_trainings_counts_where_one_of_two_was_trained_once_a_fold() -> None:
    folds = np.repeat(np.arange(5), 10)
    seeds = np.array([-0.3, 0.0, 0.3])[:, None] + np.zeros(50)
    once = np.full((3, 50), np.nan)
    once[0] = 0.1
    parts = components(np.stack([seeds, once]), list(folds), [False, False])
    assert needed(parts, 0, 1, rope=0.05, claims=1) == "about 28 more seeds of each would decide"


def test_seeds_are_advised_where_each_fold_was_trained_once() -> None:
    """Seeds are then part of what folds differ by, which no number of seeds would change."""
    folds = np.repeat(np.arange(5), 10)
    trainings = np.array([-0.1, 0.05, 0.0, -0.05, 0.1])[folds]
    values = np.stack([0.1 + trainings, -trainings])[:, None]
    parts = components(values, list(folds), [False, False])
    assert needed(parts, 0, 1, rope=0.05, claims=1) == (
        "if it is seeds that folds differ by, which seeds=3 tells: about 4 more seeds of each would decide"
    )
