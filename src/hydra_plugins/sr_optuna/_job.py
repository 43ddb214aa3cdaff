"""The job of one trial, in whichever process or machine the launcher runs it."""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from hydra.types import TaskFunction
from omegaconf import DictConfig
from optuna.study import Study
from optuna.trial import Trial, TrialState

from hydra_plugins.sr_optuna._study import StudyConfig, open_study

log = logging.getLogger(__name__)

TRIAL_VARIABLE = "OPTUNA_TRIAL"  # environment variable with the trial's number
_STUDY_VARIABLE = "OPTUNA_PLACE"  # environment variable with the StudyConfig
STARTS_ATTR = "starts"  # attribute of a trial: how often its job has started since the last report
_REPORTS_ATTR = "reports"  # attribute of a trial: number of reports when its job last started
_LOCK_TIMEOUT = 10.0  # seconds; other processes hold the lock briefly to check whether the trial is alive


def lock_name(number: int) -> str:
    """Name of the lock that the job of a trial holds."""
    return f"trial-{number}"


class Objective:
    """A task that records its result in the study; its exceptions do not reach the launcher."""

    def __init__(self, task: TaskFunction, study_config: StudyConfig, n_values: int) -> None:
        """Wrap ``task``, which returns ``n_values`` numbers."""
        self._task, self._study_config, self._n_values = task, study_config, n_values

    def __call__(self, config: DictConfig) -> Any:
        """Run the job of one trial, unless another process runs or has finished it."""
        number = int(os.environ[TRIAL_VARIABLE])
        with (
            open_study(self._study_config) as (study, locks),
            locks.hold(lock_name(number), _LOCK_TIMEOUT) as acquired,
        ):
            if not acquired or study.trials[number].state.is_finished():
                log.info("trial %d skipped: another process runs or has finished it", number)
                return None
            _count_start(study, number)
            with _study_variable(self._study_config):
                return self._run(config, study, number)

    def _run(self, config: DictConfig, study: Study, number: int) -> Any:
        try:
            returned = self._task(config)
            values = _to_numbers(returned, self._n_values)
        except optuna.TrialPruned:
            study.tell(number, state=TrialState.PRUNED)
            return None
        except Exception as error:
            fail_trial(study, number, f"{type(error).__name__}: {error}")
            return None
        study.tell(number, values)
        return returned


def _count_start(study: Study, number: int) -> None:
    """Count how often a trial has started without a report in between, to detect one that always kills its process."""
    frozen_trial = study.trials[number]
    reports = len(frozen_trial.intermediate_values)
    is_repeated = frozen_trial.user_attrs.get(_REPORTS_ATTR) == reports
    trial = Trial(study, frozen_trial._trial_id)
    trial.set_user_attr(STARTS_ATTR, frozen_trial.user_attrs.get(STARTS_ATTR, 0) + 1 if is_repeated else 1)
    trial.set_user_attr(_REPORTS_ATTR, reports)


def fail_trial(study: Study, number: int, reason: str) -> None:
    """Record a trial as failed, with the reason as one line."""
    Trial(study, study.trials[number]._trial_id).set_user_attr("reason", " ".join(reason.split()))
    study.tell(number, state=TrialState.FAIL)


def _to_numbers(returned: Any, count: int) -> list[float]:
    values = list(returned) if isinstance(returned, list | tuple) else [returned]
    if len(values) != count or not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        expected = "a finite number" if count == 1 else f"{count} finite numbers"
        raise ValueError(f"the job returned {returned!r} instead of {expected}")
    return [float(value) for value in values]


@contextmanager
def _study_variable(study_config: StudyConfig) -> Iterator[None]:
    os.environ[_STUDY_VARIABLE] = study_config.to_text()
    try:
        yield
    finally:
        del os.environ[_STUDY_VARIABLE]


class Reporter:
    """Reports intermediate values of this job's trial to the study, and asks whether to prune it."""

    def __init__(self) -> None:
        """Read from the environment which trial this is; works only if `in_trial` is true."""
        self._study_config = StudyConfig.from_text(os.environ[_STUDY_VARIABLE])
        self._number = int(os.environ[TRIAL_VARIABLE])

    def report(self, value: float, step: int) -> bool:
        """Report an intermediate value; returns whether to prune the trial. Always False with several objectives."""
        with open_study(self._study_config) as (study, _):
            if len(study.directions) > 1:
                return False
            trial = Trial(study, study.trials[self._number]._trial_id)
            if math.isfinite(value) and step not in study.trials[self._number].intermediate_values:
                trial.report(value, step)
            return trial.should_prune()
