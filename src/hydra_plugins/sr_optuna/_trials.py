"""Which trials a process works on: first those whose process died, then new ones, never more than requested."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hydra_plugins.sr_optuna._job import STARTS_ATTR, TRIAL_VARIABLE, fail_trial, lock_name
from hydra_plugins.sr_optuna._locks import Locks

_MAX_STARTS = 5  # a trial fails if its process died that often without a report in between
_SWEEPER_ATTR = "sweeper"  # attribute of a trial: name of the lock of the process that launches it


@dataclass(frozen=True)
class Job:
    """A trial and the overrides of its job; None if they could not be composed, and the trial has failed."""

    number: int
    overrides: list[str] | None


@dataclass
class Trials:
    """The trials of a study as seen by one of the processes that share it.

    Attributes:
        study: shared with other processes.
        locks: show which of these processes are alive.
        sweeper_lock: name of the lock that this process holds.
        total: number of trials in total.
        make_sampler: returns the sampler for the trial with the given number.
        suggest_overrides: samples the parameters of a trial and returns the overrides of its job.
        compose: raises if a job's overrides cannot be composed.
        grid: the points to visit in order; empty for samplers other than grid.
        suspects: trials that ran in a batch in which a process died; they are retried one at a time.
    """

    study: Study
    locks: Locks
    sweeper_lock: str
    total: int
    make_sampler: Callable[[int], BaseSampler]
    suggest_overrides: Callable[[Trial], list[str]]
    compose: Callable[[Sequence[str]], object]
    grid: Sequence[dict[str, Any]] = ()
    suspects: set[int] = field(default_factory=set)

    def take(self, count: int) -> list[Job]:
        """The next trials, at most ``count``; empty if none are left.

        A lock ensures that two processes never take the same trial, nor more trials than requested.
        """
        with self.locks.hold("study", -1):
            dead_trials = [trial for trial in self._running() if not self._is_alive(trial)]
            suspects = [trial for trial in dead_trials if trial.number in self.suspects]
            jobs = [self._retry(trial) for trial in (suspects[:1] if suspects else dead_trials[:count])]
            while not suspects and len(jobs) < count and (job := self._next_job()):
                jobs.append(job)
            return jobs

    def has_orphans(self) -> bool:
        """Whether jobs still run whose launching process is gone: they may die without recording a result."""
        with self.locks.hold("study", -1):
            return any(self._is_orphan(trial) for trial in self._running())

    def _running(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _is_alive(self, trial: FrozenTrial) -> bool:
        """Whether the job of the trial runs, or another live process is about to launch it."""
        launcher = trial.user_attrs.get(_SWEEPER_ATTR, self.sweeper_lock)
        is_queued = launcher != self.sweeper_lock and self.locks.is_held(launcher)
        return is_queued or self.locks.is_held(lock_name(trial.number))

    def _is_orphan(self, trial: FrozenTrial) -> bool:
        launcher = trial.user_attrs.get(_SWEEPER_ATTR, self.sweeper_lock)
        return launcher == self.sweeper_lock or not self.locks.is_held(launcher)

    def _retry(self, trial: FrozenTrial) -> Job:
        starts = trial.user_attrs.get(STARTS_ATTR, 0)
        if starts >= _MAX_STARTS:
            fail_trial(self.study, trial.number, f"its process died {starts} times without a report")
            return Job(trial.number, None)
        self.study.sampler = self.make_sampler(trial.number)
        return self._make_job(Trial(self.study, trial._trial_id))

    def _next_job(self) -> Job | None:
        """The job of a trial that is enqueued in the study, or of a new one; None if there are enough trials."""
        trials = self.study.get_trials(deepcopy=False)
        is_enqueued = any(trial.state == TrialState.WAITING for trial in trials)
        if not is_enqueued and len(trials) >= self.total:
            return None
        if self.grid and not is_enqueued:
            visited = [trial.system_attrs.get("fixed_params") for trial in trials]
            self.study.enqueue_trial(next(point for point in self.grid if point not in visited))
        self.study.sampler = self.make_sampler(len(trials))
        return self._make_job(self.study.ask())

    def _make_job(self, trial: Trial) -> Job:
        """Claim a trial for this process, sample its parameters, and check that its job can be composed."""
        trial.set_user_attr(_SWEEPER_ATTR, self.sweeper_lock)
        try:
            overrides = self.suggest_overrides(trial)
            trial.set_user_attr("overrides", overrides)
            job_overrides = [
                *overrides,
                f"hydra.sweep.subdir=trial_{trial.number:04d}",
                f"++hydra.job.env_set.{TRIAL_VARIABLE}='{trial.number}'",
            ]
            self.compose(job_overrides)
        except (HydraException, OmegaConfBaseException) as error:
            fail_trial(self.study, trial.number, str(error).splitlines()[0])
            return Job(trial.number, None)
        return Job(trial.number, job_overrides)
