from pathlib import Path

import pytest

from sr.report.budgets import Budget, budget
from sr.report.comparison import find_comparisons
from sr.runs.schema import InitialWeights
from sr.terms import Measurement, Speed
from tests.support.run_folders import RunFolders, config


def budget_of(root: Path) -> Budget:
    (comparison,) = find_comparisons([root]).comparisons
    return budget(comparison.configurations[0])


def speed(milliseconds: float, *, quiet: bool) -> Speed:
    latency = Measurement(milliseconds, milliseconds - 1, milliseconds + 1, 20)
    return Speed(latency, Measurement(50.0, 49.0, 51.0, 20), batch=8, quiet=quiet)


def test_times_are_means_over_trainings_and_the_speed_is_that_of_a_quiet_machine(run_folders: RunFolders) -> None:
    for seed, (seconds, milliseconds, quiet) in enumerate(
        [(60.0, 30.0, False), (80.0, 20.0, True), (70.0, 9.0, False)]
    ):
        run_folders(
            f"espcn_mse_adam_{seed}",
            [0.5] * 4,
            seed=seed,
            train_seconds=seconds,
            ms_per_image=milliseconds,
            speed=speed(milliseconds, quiet=quiet),
        )
    costs = budget_of(run_folders.root)
    assert costs.train_seconds == 70
    assert (costs.ms_per_image, costs.ms_low, costs.ms_high, costs.is_quiet) == (20, 19, 21, True)
    assert costs.images_per_second == 50


def test_records_of_old_have_a_time_without_an_interval(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.5] * 4)
    costs = budget_of(run_folders.root)
    assert (costs.ms_per_image, costs.ms_low, costs.is_quiet, costs.init) == (12.5, None, False, "")


def test_steps_behind_initial_weights_count(run_folders: RunFolders) -> None:
    initial = InitialWeights("espcn_x2", "f" * 64, 1000, 8, [], [])
    run_folders("espcn_mse_adam", [0.5] * 4, steps=200, initial=initial)
    assert (budget_of(run_folders.root).steps, budget_of(run_folders.root).init) == (1200, "espcn_x2")


@pytest.mark.parametrize("trial", ["trial_0002", "trial_0002/seed_23"], ids=["one seed", "several"])
def test_a_trial_counts_the_trials_of_its_search(run_folders: RunFolders, trial: str) -> None:
    is_one_of_several = "seed" in trial
    of_cell = config() | ({"seeds": [23]} if is_one_of_several else {})
    run_folders("search/trial_0002_adam", [0.5] * 4, config=of_cell).rename(run_folders.root / "search/trial_0002")
    if is_one_of_several:
        run_folders("search/seed_23_adam", [0.5] * 4).rename(run_folders.root / "search" / trial)
    for number in (0, 1):
        (run_folders.root / f"search/trial_000{number}").mkdir()
    (run_folders.root / "search/trial_0001_seed24").mkdir()  # which sr decide adds: another training, not a trial
    assert budget_of(run_folders.root).trials == 3


def test_options_that_a_search_has_chosen_count_its_trials(run_folders: RunFolders) -> None:
    best = run_folders("espcn_mse_adam", [0.5] * 4, config=config() | {"trials": 40})
    assert budget_of(run_folders.root).trials == 40
    best.rename(run_folders.root / "trial_0000")  # of a search that refines it
    (run_folders.root / "trial_0001").mkdir()
    assert budget_of(run_folders.root).trials == 42


def test_ntire_is_relative_to_a_baseline(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.5] * 4)
    costs = budget_of(run_folders.root)
    assert costs.ntire(costs) == pytest.approx(7.389, abs=1e-3)
