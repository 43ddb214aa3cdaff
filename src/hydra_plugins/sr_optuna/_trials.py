"""Which trials a process works on: those whose process is gone first, then new ones, never more than asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hydra_plugins.sr_optuna._job import NUMBER, STARTS, fail, lock_of
from hydra_plugins.sr_optuna._locks import Locks

_STARTS = 5  # of a trial's process without a report between them, before the trial counts as failed
_SWEEPER = "sweeper"  # attribute of a trial: the lock of the process that launches it


@dataclass(frozen=True)
class Job:
    """A trial and the overrides of its job; None if it cannot be composed, and has failed."""

    number: int
    overrides: list[str] | None


@dataclass
class Trials:
    """The trials of a study as seen by one of the processes that share it.

    Attributes:
        study: shared with other processes.
        locks: tell who of them lives.
        myself: the lock that this process holds.
        total: trials in all.
        sampler: makes the sampler of the trial of a number.
        choose: lets a trial choose, and returns the overrides of its job.
        compose: raises if overrides make no job.
        grid: the points to visit, if they are to be visited in turn.
        suspects: trials that ran in a batch whose process died: they are tried again one by one.
    """

    study: Study
    locks: Locks
    myself: str
    total: int
    sampler: Callable[[int], BaseSampler]
    choose: Callable[[Trial], list[str]]
    compose: Callable[[Sequence[str]], object]
    grid: Sequence[dict[str, Any]] = ()
    suspects: set[int] = field(default_factory=set)

    def take(self, count: int) -> list[Job]:
        """The next trials, at most ``count``; none if there is nothing left to take.

        All processes of a study take in turn, so that none takes what another has, or one too many.
        """
        with self.locks.hold("study", -1):
            lost = [trial for trial in self._running() if not self._is_alive(trial)]
            alone = [trial for trial in lost if trial.number in self.suspects]
            jobs = [self._again(trial) for trial in (alone[:1] if alone else lost[:count])]
            while not alone and len(jobs) < count and (job := self._next()):
                jobs.append(job)
            return jobs

    def left_behind(self) -> bool:
        """Whether jobs still run whose launching process is gone: they may end without a word."""
        with self.locks.hold("study", -1):
            return any(self._is_orphan(trial) for trial in self._running())

    def _running(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _is_alive(self, trial: FrozenTrial) -> bool:
        """Whether its job runs, or another process that lives is about to launch it."""
        launcher = trial.user_attrs.get(_SWEEPER, self.myself)
        queued = launcher != self.myself and self.locks.is_held(launcher)
        return queued or self.locks.is_held(lock_of(trial.number))

    def _is_orphan(self, trial: FrozenTrial) -> bool:
        launcher = trial.user_attrs.get(_SWEEPER, self.myself)
        return launcher == self.myself or not self.locks.is_held(launcher)

    def _again(self, trial: FrozenTrial) -> Job:
        starts = trial.user_attrs.get(STARTS, 0)
        if starts >= _STARTS:
            fail(self.study, trial.number, f"its process died {starts} times without a report")
            return Job(trial.number, None)
        self.study.sampler = self.sampler(trial.number)
        return self._job(Trial(self.study, trial._trial_id))

    def _next(self) -> Job | None:
        """A trial that waits in the study, or a new one; None if there are enough."""
        trials = self.study.get_trials(deepcopy=False)
        waiting = any(trial.state == TrialState.WAITING for trial in trials)
        if not waiting and len(trials) >= self.total:
            return None
        if self.grid and not waiting:
            tried = [trial.system_attrs.get("fixed_params") for trial in trials]
            self.study.enqueue_trial(next(point for point in self.grid if point not in tried))
        self.study.sampler = self.sampler(len(trials))
        return self._job(self.study.ask())

    def _job(self, trial: Trial) -> Job:
        """Make a trial this process's, let it choose, and see whether its job can be composed."""
        trial.set_user_attr(_SWEEPER, self.myself)
        try:
            overrides = self.choose(trial)
            trial.set_user_attr("overrides", overrides)
            own = [f"hydra.sweep.subdir=trial_{trial.number:04d}", f"++hydra.job.env_set.{NUMBER}='{trial.number}'"]
            self.compose([*overrides, *own])
        except (HydraException, OmegaConfBaseException) as error:
            fail(self.study, trial.number, str(error).splitlines()[0])
            return Job(trial.number, None)
        return Job(trial.number, [*overrides, *own])
