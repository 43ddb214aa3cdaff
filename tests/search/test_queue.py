"""Which trials a process takes, on studies in memory with locks in a folder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.errors import HydraException
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState, create_trial

from hydra_plugins.sr_optuna._job import STARTS_ATTR, TRIAL_VARIABLE, lock_name
from hydra_plugins.sr_optuna._locks import FileLocks
from hydra_plugins.sr_optuna._trials import Job, Trials

MYSELF = "sweeper-me"


def suggest(trial: Trial) -> list[str]:
    return [f"x={trial.suggest_float('x', 0, 1):.6f}"]


def compose(overrides: Sequence[str]) -> None:
    pass


@pytest.fixture
def locks(tmp_path: Path) -> FileLocks:
    return FileLocks(tmp_path / "locks")


@pytest.fixture
def study() -> Study:
    return optuna.create_study()


def trials_of(study: Study, locks: FileLocks, total: int, **settings: Any) -> Trials:
    return Trials(study, locks, MYSELF, total, lambda number: RandomSampler(number), suggest, compose, **settings)


def add_running(study: Study, *, sweeper: str = "sweeper-dead", starts: int = 1) -> int:
    """Add a trial whose process died: its number."""
    trial = create_trial(
        state=TrialState.RUNNING,
        params={"x": 0.25},
        distributions={"x": FloatDistribution(0, 1)},
        user_attrs={"sweeper": sweeper, STARTS_ATTR: starts},
    )
    study.add_trial(trial)
    return len(study.trials) - 1


def numbers(jobs: Sequence[Job]) -> list[int]:
    return [job.number for job in jobs]


def test_new_trials_are_taken_up_to_the_count_and_to_the_total(study: Study, locks: FileLocks) -> None:
    trials = trials_of(study, locks, 5)
    with locks.hold(MYSELF, 0):
        assert numbers(trials.take(3)) == [0, 1, 2]
        for number in range(3):
            study.tell(number, 1.0)
        assert numbers(trials.take(3)) == [3, 4]
        for number in (3, 4):
            study.tell(number, 1.0)
        assert trials.take(3) == []


def test_a_job_names_its_trial_and_its_folder(study: Study, locks: FileLocks) -> None:
    (job,) = trials_of(study, locks, 1).take(1)
    assert job.overrides is not None
    assert job.overrides[1:] == [
        "hydra.sweep.subdir=trial_0000",
        f"++hydra.job.env_set.{TRIAL_VARIABLE}='0'",
    ]
    assert study.trials[0].user_attrs == {"sweeper": MYSELF, "overrides": job.overrides[:1]}


def test_each_trial_has_a_sampler_of_its_own(study: Study, locks: FileLocks) -> None:
    first, second = trials_of(study, locks, 2).take(2)
    for job, seed in ((first, 0), (second, 1)):
        expected = optuna.create_study(sampler=RandomSampler(seed)).ask().suggest_float("x", 0, 1)
        assert job.overrides is not None
        assert job.overrides[0] == f"x={expected:.6f}"


def test_trials_of_dead_processes_come_first_and_keep_their_parameters(study: Study, locks: FileLocks) -> None:
    add_running(study)
    jobs = trials_of(study, locks, 3).take(2)
    assert numbers(jobs) == [0, 1]
    assert jobs[0].overrides is not None
    assert jobs[0].overrides[0] == "x=0.250000"
    assert study.trials[0].user_attrs["sweeper"] == MYSELF


@pytest.mark.parametrize("held", ["sweeper-other", lock_name(0)])
def test_trials_that_run_or_that_a_living_process_will_launch_are_left_alone(
    study: Study, locks: FileLocks, held: str
) -> None:
    add_running(study, sweeper="sweeper-other")
    trials = trials_of(study, locks, 2)
    with locks.hold(held, 0):
        assert numbers(trials.take(5)) == [1]


def test_orphans_are_trials_whose_launching_process_is_gone(study: Study, locks: FileLocks) -> None:
    trials = trials_of(study, locks, 1)
    assert not trials.has_orphans()
    add_running(study, sweeper="sweeper-other")
    with locks.hold("sweeper-other", 0):
        assert not trials.has_orphans()
    assert trials.has_orphans()


def test_suspects_are_retried_one_at_a_time_before_anything_else(study: Study, locks: FileLocks) -> None:
    for _ in range(3):
        add_running(study)
    trials = trials_of(study, locks, 5)
    trials.suspects = {1, 2}
    assert numbers(trials.take(3)) == [1]
    study.tell(1, 1.0)
    assert numbers(trials.take(3)) == [2]
    study.tell(2, 1.0)
    assert numbers(trials.take(3)) == [0, 3, 4]


@pytest.mark.parametrize(("starts", "fails"), [(4, False), (5, True)])
def test_a_trial_fails_after_five_starts_without_a_report(
    study: Study, locks: FileLocks, starts: int, fails: bool
) -> None:
    add_running(study, starts=starts)
    (job,) = trials_of(study, locks, 1).take(1)
    assert (job.overrides is None) is fails
    assert (study.trials[0].state == TrialState.FAIL) is fails
    assert study.trials[0].user_attrs.get("reason") == ("its process died 5 times without a report" if fails else None)


def test_a_grid_is_visited_in_order_and_no_point_twice(study: Study, locks: FileLocks) -> None:
    grid = [{"x": value} for value in (0.5, 0.25, 0.75)]
    trials = trials_of(study, locks, 3, grid=grid)
    chosen = []
    for _ in range(3):
        (job,) = trials.take(1)
        chosen.append(job.overrides and job.overrides[0])
        study.tell(job.number, 1.0)
    assert chosen == ["x=0.500000", "x=0.250000", "x=0.750000"]
    assert trials.take(1) == []


def test_trials_enqueued_in_optuna_are_run_even_beyond_the_total(study: Study, locks: FileLocks) -> None:
    study.enqueue_trial({"x": 0.125})
    trials = trials_of(study, locks, 1)
    (job,) = trials.take(5)
    assert job.overrides is not None
    assert job.overrides[0] == "x=0.125000"


def test_a_job_that_cannot_be_composed_fails_its_trial(study: Study, locks: FileLocks) -> None:
    def refuse(overrides: Sequence[str]) -> None:
        raise HydraException("no such option\nand a long explanation")

    trials = trials_of(study, locks, 2)
    trials.compose = refuse
    assert trials.take(1) == [Job(0, None)]
    assert study.trials[0].state == TrialState.FAIL
    assert study.trials[0].user_attrs["reason"] == "no such option"


def test_the_study_is_locked_while_trials_are_taken(study: Study, locks: FileLocks) -> None:
    def checked(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            assert locks.is_held("study")
            return function(*arguments)

        return call

    trials = trials_of(study, locks, 1)
    trials.suggest_overrides = checked(suggest)
    assert numbers(trials.take(1)) == [0]
    assert not locks.is_held("study")
