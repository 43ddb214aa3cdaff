import numpy as np
import pytest

from sr.report.analysis import Analysis, analyse
from sr.report.comparison import find_comparisons
from sr.report.effects import interactions, main_effects
from tests.support.run_folders import RunFolders

GAINS = {("espcn", "mse"): 0.0, ("espcn", "mae"): 0.2, ("vdsr", "mse"): 1.0, ("vdsr", "mae"): 2.0}


def write(run_folders: RunFolders, gains: dict[tuple[str, str], float]) -> Analysis:
    for number, ((model, loss), gain) in enumerate(gains.items()):
        for seed in range(3):
            noise = 0.02 * np.cos(np.arange(10) * (seed + 2) + number)
            run_folders(f"{model}_{loss}_adam_{seed}", list(gain + noise), names="abcdefghij", folds=None, seed=seed)
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    return analyse(comparison)


def test_main_effects_are_differences_from_the_mean_of_all_choices(run_folders: RunFolders) -> None:
    effects = {(effect.factor, effect.level): effect for effect in main_effects(write(run_folders, GAINS))}
    assert {key: effect.mean for key, effect in effects.items()} == pytest.approx(
        {("model", "espcn"): -0.7, ("model", "vdsr"): 0.7, ("loss", "mae"): 0.3, ("loss", "mse"): -0.3}, abs=0.01
    )
    for effect in effects.values():
        assert effect.interval.low < effect.mean < effect.interval.high
        assert effect.interval.high - effect.interval.low < 0.1


def test_interactions_beyond_what_matters_are_listed(run_folders: RunFolders) -> None:
    listed = interactions(write(run_folders, GAINS))
    assert {(effect.factor, effect.level) for effect in listed} == {
        ("model and loss", f"{model} with {loss}") for model, loss in GAINS
    }
    by_level = {effect.level: effect.mean for effect in listed}
    # vdsr with mae has 2.0, and the sum of its effects is 0.8 + 0.7 + 0.3.
    assert by_level["vdsr with mae"] == pytest.approx(0.2, abs=0.01)
    assert by_level["espcn with mae"] == pytest.approx(-0.2, abs=0.01)


def test_choices_that_add_up_do_not_interact(run_folders: RunFolders) -> None:
    additive = {("espcn", "mse"): 0.0, ("espcn", "mae"): 0.2, ("vdsr", "mse"): 1.0, ("vdsr", "mae"): 1.2}
    assert interactions(write(run_folders, additive)) == []


def test_an_incomplete_grid_has_no_interactions(run_folders: RunFolders) -> None:
    analysis = write(run_folders, {key: gain for key, gain in GAINS.items() if key != ("vdsr", "mae")})
    assert interactions(analysis) == []
    assert {effect.factor for effect in main_effects(analysis)} == {"model", "loss"}


def test_a_single_configuration_has_no_effects(run_folders: RunFolders) -> None:
    analysis = write(run_folders, {("espcn", "mse"): 0.0})
    assert main_effects(analysis) == interactions(analysis) == []
