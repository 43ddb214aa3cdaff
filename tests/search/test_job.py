"""One trial inside its job, on a journal in a folder."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial, TrialState

from hydra_plugins.sr_optuna._job import STARTS_ATTR, TRIAL_VARIABLE, Objective, Reporter, lock_name
from hydra_plugins.sr_optuna._study import StudyConfig, open_study, study_config
from hydra_plugins.sr_optuna.reporting import in_trial, reporter

CONFIG = OmegaConf.create({"x": 1})


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyConfig:
    """A study that has asked for its trial 0, which this process runs."""
    config = study_config(tmp_path, None, None)
    with open_study(config, directions=["maximize"]) as (study, _):
        study.ask()
    monkeypatch.setenv(TRIAL_VARIABLE, "0")
    return config


def trial_of(config: StudyConfig) -> FrozenTrial:
    with open_study(config) as (study, _):
        return study.trials[0]


def run(config: StudyConfig, task: Callable[[DictConfig], Any], n_values: int = 1) -> Any:
    return Objective(task, config, n_values)(CONFIG)


def raise_error(error: Exception) -> Callable[[DictConfig], Any]:
    def task(config: DictConfig) -> None:
        raise error

    return task


def test_the_value_of_a_task_is_that_of_its_trial(config: StudyConfig) -> None:
    assert run(config, lambda config: 2 * config.x) == 2
    trial = trial_of(config)
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 2.0)
    assert not in_trial()


def test_several_values_are_those_of_several_objectives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = study_config(tmp_path / "two", None, None)
    with open_study(config, directions=["maximize", "minimize"]) as (study, _):
        study.ask()
    monkeypatch.setenv(TRIAL_VARIABLE, "0")
    assert run(config, lambda config: [1.0, 2], 2) == [1.0, 2]
    assert trial_of(config).values == [1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "n_values", "expected"),
    [
        (None, 1, "the job returned None instead of a finite number"),
        (float("nan"), 1, "the job returned nan instead of a finite number"),
        ("31", 1, "the job returned '31' instead of a finite number"),
        ([1.0, 2.0], 1, "the job returned [1.0, 2.0] instead of a finite number"),
        ([1.0], 2, "the job returned [1.0] instead of 2 finite numbers"),
    ],
)
def test_other_values_fail_the_trial(config: StudyConfig, value: Any, n_values: int, expected: str) -> None:
    assert run(config, lambda config: value, n_values) is None
    trial = trial_of(config)
    assert (trial.state, trial.user_attrs["reason"]) == (TrialState.FAIL, f"ValueError: {expected}")


def test_an_error_fails_the_trial_in_one_line_and_does_not_leave_the_job(config: StudyConfig) -> None:
    assert run(config, raise_error(RuntimeError("too\n  hot"))) is None
    trial = trial_of(config)
    assert (trial.state, trial.user_attrs["reason"]) == (TrialState.FAIL, "RuntimeError: too hot")
    assert not in_trial()


def test_a_pruned_task_prunes_its_trial(config: StudyConfig) -> None:
    assert run(config, raise_error(optuna.TrialPruned())) is None
    assert trial_of(config).state == TrialState.PRUNED


def test_a_trial_that_is_finished_or_runs_elsewhere_is_not_run(
    config: StudyConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("hydra_plugins.sr_optuna._job._LOCK_TIMEOUT", 0)
    calls: list[DictConfig] = []
    with open_study(config) as opened, opened[1].hold(lock_name(0), 0):
        assert run(config, calls.append) is None
    run(config, lambda config: 1.0)
    run(config, calls.append)
    assert calls == []
    assert caplog.text.count("trial 0 skipped: another process runs or has finished it") == 2
    assert trial_of(config).value == 1.0


def test_its_lock_is_held_while_a_trial_runs(config: StudyConfig) -> None:
    def task(_: DictConfig) -> float:
        with open_study(config) as opened:
            return float(opened[1].is_held(lock_name(0)))

    assert run(config, task) == 1.0


def test_starts_are_counted_from_the_last_report_on(config: StudyConfig) -> None:
    class Killed(BaseException):
        """Stands in for a kill: nothing of it is recorded."""

    def dies(_: DictConfig) -> float:
        raise Killed

    def reports_and_dies(_: DictConfig) -> float:
        reporter().report(1.0, len(trial_of(config).intermediate_values))
        raise Killed

    counts = []
    for task in (dies, dies, reports_and_dies, dies, reports_and_dies):
        with pytest.raises(Killed):
            run(config, task)
        counts.append(trial_of(config).user_attrs[STARTS_ATTR])
    assert counts == [1, 2, 3, 1, 2]
    assert trial_of(config).state == TrialState.RUNNING


def test_reports_reach_the_study_once_a_step_and_only_finite_ones(config: StudyConfig) -> None:
    def task(_: DictConfig) -> float:
        assert in_trial()
        assert isinstance(reporter(), Reporter)
        for value, step in ((1.0, 1), (9.0, 1), (float("nan"), 2), (3.0, 3)):
            assert reporter().report(value, step) is False
        return 3.0

    run(config, task)
    assert trial_of(config).intermediate_values == {1: 1.0, 3: 3.0}


@pytest.mark.parametrize(("value", "prunes"), [(6.0, False), (4.0, True)])
def test_the_pruner_of_the_study_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, prunes: bool
) -> None:
    base = study_config(tmp_path / "pruned", None, None)
    config = StudyConfig(base.storage, base.study, "median", {"n_startup_trials": 1})
    with open_study(config, directions=["maximize"]) as (study, _):
        trial = study.ask()
        trial.report(5.0, 1)
        study.tell(trial, 5.0)
        study.ask()
    monkeypatch.setenv(TRIAL_VARIABLE, "1")
    decisions = []

    def task(_: DictConfig) -> float:
        decisions.append(reporter().report(value, 1))
        return 0.0

    run(config, task)
    assert decisions == [prunes]


def test_several_objectives_are_never_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = study_config(tmp_path / "two", None, None)
    with open_study(config, directions=["maximize", "minimize"]) as (study, _):
        study.ask()
    monkeypatch.setenv(TRIAL_VARIABLE, "0")
    decisions = []

    def task(_: DictConfig) -> list[float]:
        decisions.append(reporter().report(1.0, 1))
        return [1.0, 2.0]

    run(config, task, 2)
    assert decisions == [False]
    assert trial_of(config).intermediate_values == {}


def test_the_environment_is_restored(config: StudyConfig) -> None:
    before = dict(os.environ)
    run(config, lambda config: 1.0)
    assert dict(os.environ) == before
