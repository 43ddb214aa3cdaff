"""One trial inside its job, in whichever process or machine the launcher runs it."""

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

from hydra_plugins.sr_optuna._study import Place, opened

log = logging.getLogger(__name__)

NUMBER = "OPTUNA_TRIAL"  # environment variable of a job
STARTS = "starts"  # attribute of a trial: how often its job began since the last report
_REPORTS = "reports"  # attribute of a trial: reports when its job began last
_PLACE = "OPTUNA_PLACE"
_PATIENCE = 10.0  # seconds; who looks whether a trial is alive holds its lock for a moment


def lock_of(number: int) -> str:
    """Name of the lock that a trial's job holds."""
    return f"trial-{number}"


class Objective:
    """A task that tells the study what came of its trial; no failure of it reaches the launcher."""

    def __init__(self, task: TaskFunction, place: Place, values: int) -> None:
        """Wrap ``task``, which returns a number, or as many as ``values`` says."""
        self._task, self._place, self._values = task, place, values

    def __call__(self, config: DictConfig) -> Any:
        """Run the job of one trial, unless another process does, or did."""
        number = int(os.environ[NUMBER])
        with opened(self._place) as (study, locks), locks.hold(lock_of(number), _PATIENCE) as mine:
            if not mine or study.trials[number].state.is_finished():
                log.info("trial %d: another process has it", number)
                return None
            _count_start(study, number)
            with _announced(self._place):
                return self._run(config, study, number)

    def _run(self, config: DictConfig, study: Study, number: int) -> Any:
        try:
            returned = self._task(config)
            values = _numbers(returned, self._values)
        except optuna.TrialPruned:
            study.tell(number, state=TrialState.PRUNED)
            return None
        except Exception as error:
            fail(study, number, f"{type(error).__name__}: {error}")
            return None
        study.tell(number, values)
        return returned


def _count_start(study: Study, number: int) -> None:
    """Note that a trial begins, or begins again, so that one that kills its process each time is found out."""
    trial = study.trials[number]
    reports = len(trial.intermediate_values)
    again = trial.user_attrs.get(_REPORTS) == reports
    handle = Trial(study, trial._trial_id)
    handle.set_user_attr(STARTS, trial.user_attrs.get(STARTS, 0) + 1 if again else 1)
    handle.set_user_attr(_REPORTS, reports)


def fail(study: Study, number: int, reason: str) -> None:
    """Record a trial as failed, and why in one line."""
    Trial(study, study.trials[number]._trial_id).set_user_attr("reason", " ".join(reason.split()))
    study.tell(number, state=TrialState.FAIL)


def _numbers(returned: Any, count: int) -> list[float]:
    values = list(returned) if isinstance(returned, list | tuple) else [returned]
    if len(values) != count or not all(isinstance(one, int | float) and math.isfinite(one) for one in values):
        what = "a finite number" if count == 1 else f"{count} finite numbers"
        raise ValueError(f"the job returned {returned!r} instead of {what}")
    return [float(one) for one in values]


@contextmanager
def _announced(place: Place) -> Iterator[None]:
    os.environ[_PLACE] = place.to_text()
    try:
        yield
    finally:
        del os.environ[_PLACE]


class Reporter:
    """Reports to the study how far the trial of this job has come, and is told whether to prune it."""

    def __init__(self) -> None:
        """Read from the environment which trial this is; usable only if `in_trial`."""
        self._place, self._number = Place.from_text(os.environ[_PLACE]), int(os.environ[NUMBER])

    def report(self, value: float, step: int) -> bool:
        """Report an intermediate value; whether the pruner would stop here. Always False with several objectives."""
        with opened(self._place) as (study, _):
            if len(study.directions) > 1:
                return False
            trial = Trial(study, study.trials[self._number]._trial_id)
            if math.isfinite(value) and step not in study.trials[self._number].intermediate_values:
                trial.report(value, step)
            return trial.should_prune()
