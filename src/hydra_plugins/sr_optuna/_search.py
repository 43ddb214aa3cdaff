"""The search: take the next trials, launch them, look what came of them, until there are as many as asked for."""

import contextlib
import logging
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hydra_plugins.sr_optuna._best import write_best
from hydra_plugins.sr_optuna._errors import SearchError, SearchFailedError
from hydra_plugins.sr_optuna._job import NUMBER, Objective, fail, lock_of
from hydra_plugins.sr_optuna._locks import Locks
from hydra_plugins.sr_optuna._space import Space, grid_points, parse_space, suggest, to_override
from hydra_plugins.sr_optuna._study import GRID, make_pruner, make_sampler, opened, place_of
from hydra_plugins.sr_optuna.sweeper import OptunaSweeperConf

log = logging.getLogger(__name__)

_TRIALS = 50  # if the sampler sets no end
_LEFT_BEHIND = 1.0  # seconds between looks at trials whose sweeper is gone, while their jobs still run
_DEATHS = 2  # of a trial's process, before the trial counts as failed


@dataclass(frozen=True)
class _Job:
    number: int
    overrides: list[str] | None  # None: it cannot be composed, and counts as failed


class Search:
    """One start of the command; several may share a study."""

    def __init__(
        self,
        options: OptunaSweeperConf,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
        arguments: Sequence[str],
    ) -> None:
        """Check the options and read the space.

        Raises:
            SearchError: if one of them has to change.
        """
        self._options, self._config, self._loader = options, config, hydra_context.config_loader
        self._space = self._read_space(arguments)
        self._grid = grid_points(self._space.distributions) if options.sampler == GRID else []
        if options.sampler == GRID and options.search_space:
            raise SearchError("sampler=grid cannot enumerate a search_space function: use choice() and range()")
        self._total = options.n_trials if options.n_trials is not None else len(self._grid) or _TRIALS
        if self._grid:
            self._total = min(self._total, len(self._grid))
        self._check()
        self._folder = Path(config.hydra.sweep.dir).absolute()
        self._place = replace(
            place_of(self._folder, options.storage, options.study_name),
            pruner=options.pruner,
            pruner_options=options.pruner_options,
        )
        objective = Objective(task_function, self._place, len(options.directions()))
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=objective, config=config
        )
        self._batch_size = options.n_jobs or _at_once(config)
        self._myself = f"sweeper-{uuid.uuid4().hex[:12]}"
        self._launched = 0

    def run(self) -> Any:
        """Search until there are as many trials as asked for, over all starts and all processes.

        Returns:
            Values of the best trial, or of each of the Pareto front.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self._config, self._folder / "multirun.yaml")
        with opened(self._place, directions=self._options.directions()) as (study, locks):
            with locks.hold("study", -1):
                self._check_same_search(study)
            with locks.hold(self._myself, 0):
                self._search(study, locks)
            return self._finish(study)

    def _read_space(self, arguments: Sequence[str]) -> Space:
        params = [to_override(name, value) for name, value in self._options.params.items()]
        parser = OverridesParser.create(config_loader=self._loader)
        try:
            space = parse_space(parser.parse_overrides([*params, *arguments]))
        except HydraException as error:
            raise SearchError(" ".join(str(error).split())) from error
        if not space.distributions and not self._options.search_space:
            raise SearchError(
                "nothing to search: name options with choice(), range() or interval(), "
                "for example 'optimizer.lr=tag(log,interval(1e-5,1e-2))', or hydra.sweeper.search_space"
            )
        return space

    def _check(self) -> None:
        options = self._options
        for name in ("n_jobs", "max_failures"):
            value = getattr(options, name)
            if value is not None and value < 1:
                raise SearchError(f"hydra.sweeper.{name} must be at least 1, got {value}")
        if self._total < 1:
            raise SearchError(f"hydra.sweeper.n_trials must be at least 1, got {self._total}")
        wrong = set(options.directions()) - {"maximize", "minimize"}
        if wrong or not options.directions():
            raise SearchError(f"hydra.sweeper.direction must be maximize or minimize, got {options.direction!r}")
        if len(options.directions()) > 1 and options.pruner != "none":
            raise SearchError("hydra.sweeper.pruner: Optuna prunes searches with one objective only: pruner=none")
        if len(options.directions()) > 1 and options.sampler == "cmaes":
            raise SearchError("hydra.sweeper.sampler: cmaes has one objective: use tpe or nsgaii")
        make_sampler(options.sampler, options.sampler_options, options.seed)
        make_pruner(options.pruner, options.pruner_options)

    def _check_same_search(self, study: Study) -> None:
        """A folder, or a name in a database, holds one search."""
        mine = self._space.describe() | {"function": (self._options.search_space or {}).get("_target_")}
        there = study.user_attrs.get("search")
        if there is None:
            study.set_user_attr("search", mine)
        elif there != mine:
            what = next(name for name in mine if there.get(name) != mine[name])
            raise SearchError(
                f"study {study.study_name}: holds a search with another {what}, {there.get(what)} there and "
                f"{mine[what]} here: choose another hydra.sweep.dir or hydra.sweeper.study_name"
            )
        directions = [direction.name.lower() for direction in study.directions]
        if directions != self._options.directions():
            raise SearchError(f"study {study.study_name}: is to {directions}: choose another hydra.sweep.dir")

    def _search(self, study: Study, locks: Locks) -> None:
        failures = 0
        waited = False
        while True:
            with locks.hold("study", -1):
                batch = self._take(study, locks)
            if batch:
                self._launch(study, locks, batch)
                failures = self._look(study, batch, failures)
            elif not self._left_behind(study, locks):
                return
            else:
                if not waited:
                    log.info("waiting for trials that a search before this one left running")
                waited = True
                time.sleep(_LEFT_BEHIND)

    def _take(self, study: Study, locks: Locks) -> list[_Job]:
        """The next trials: first those whose process is gone, then new ones; the caller holds the study."""
        trials = study.get_trials(deepcopy=False)
        lost = [trial for trial in trials if trial.state == TrialState.RUNNING and not self._is_alive(trial, locks)]
        if alone := [trial for trial in lost if trial.user_attrs.get("deaths")]:
            lost = alone[:1]  # whether its process dies of itself shows without others beside it
        jobs = [self._job(study, Trial(study, trial._trial_id)) for trial in lost[: self._batch_size]]
        waiting = sum(trial.state == TrialState.WAITING for trial in trials)
        while not alone and len(jobs) < self._batch_size and (waiting or len(trials) < self._total):
            if self._grid and not waiting:
                study.enqueue_trial(self._next_point(study))
            study.sampler = make_sampler(
                self._options.sampler, self._options.sampler_options, self._options.seed, len(trials)
            )
            jobs.append(self._job(study, study.ask()))
            waiting = max(0, waiting - 1)
            trials = study.get_trials(deepcopy=False)
        return jobs

    def _is_alive(self, trial: FrozenTrial, locks: Locks) -> bool:
        """Whether its job runs, or another sweeper that lives is about to launch it."""
        sweeper = trial.user_attrs.get("sweeper")
        queued = sweeper is not None and sweeper != self._myself and locks.is_held(sweeper)
        return queued or locks.is_held(lock_of(trial.number))

    def _left_behind(self, study: Study, locks: Locks) -> bool:
        """Whether jobs still run whose sweeper is gone: they may end without telling."""
        running = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.RUNNING]
        return any(not locks.is_held(trial.user_attrs.get("sweeper", self._myself)) for trial in running) or any(
            trial.user_attrs.get("sweeper") == self._myself for trial in running
        )

    def _next_point(self, study: Study) -> dict[str, Any]:
        tried = [trial.system_attrs.get("fixed_params") for trial in study.get_trials(deepcopy=False)]
        return next(point for point in self._grid if point not in tried)

    def _job(self, study: Study, trial: Trial) -> _Job:
        """Make a trial this sweeper's, let it choose, and see whether its job can be composed."""
        trial.set_user_attr("sweeper", self._myself)
        try:
            suggest(trial, self._space.distributions)
            more = self._conditional(trial)
            overrides = [
                *self._space.fixed,
                *(to_override(name, value) for name, value in trial.params.items()),
                *more,
            ]
            trial.set_user_attr("overrides", overrides)
            overrides = [
                *overrides,
                f"hydra.sweep.subdir=trial_{trial.number:04d}",
                f"++hydra.job.env_set.{NUMBER}='{trial.number}'",
            ]
            self._loader.load_sweep_config(self._config, overrides)
        except (HydraException, OmegaConfBaseException) as error:
            fail(study, trial.number, str(error).splitlines()[0])
            return _Job(trial.number, None)
        return _Job(trial.number, overrides)

    def _conditional(self, trial: Trial) -> list[str]:
        if not self._options.search_space:
            return []
        config = self._loader.load_sweep_config(self._config, list(self._space.fixed))
        more = instantiate(self._options.search_space, config, trial)
        return [to_override(name, value) for name, value in (more or {}).items()]

    def _launch(self, study: Study, locks: Locks, batch: Sequence[_Job]) -> None:
        """Run a batch; a process that dies takes its batch along, and each of it is tried once more, alone."""
        reason = "its process ended without a word"
        jobs = [job.overrides for job in batch if job.overrides is not None]
        try:
            if jobs:
                self._launcher.launch(jobs, initial_job_idx=self._launched)
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
            log.warning("the launcher gave up on a batch: %s", reason)
        self._launched += len(jobs)
        for job in batch:
            trial = study.trials[job.number]
            if trial.state == TrialState.RUNNING and not locks.is_held(lock_of(job.number)):
                deaths = trial.user_attrs.get("deaths", 0) + 1
                Trial(study, trial._trial_id).set_user_attr("deaths", deaths)
                if deaths >= _DEATHS:
                    fail(study, job.number, f"its process died {deaths} times: {reason}")

    def _look(self, study: Study, batch: Sequence[_Job], failures: int) -> int:
        """Say what came of a batch; the failures in a row so far.

        Raises:
            SearchFailedError: if they are too many.
        """
        for job in batch:
            trial = study.trials[job.number]
            if trial.state == TrialState.FAIL:
                failures += 1
                log.warning("trial %d failed: %s", trial.number, trial.user_attrs.get("reason"))
            elif trial.state == TrialState.PRUNED:
                failures = 0
                log.info("trial %d pruned at step %s", trial.number, trial.last_step)
            elif trial.state == TrialState.COMPLETE:
                failures = 0
                log.info("trial %d of %d: %s%s", trial.number + 1, self._total, _values(trial), _best_so_far(study))
            if failures >= self._options.max_failures:
                raise SearchFailedError(
                    f"the last {failures} trials failed, the last because: {trial.user_attrs.get('reason')}; "
                    "mend it and start the same command again, or raise hydra.sweeper.max_failures"
                )
        return failures

    def _finish(self, study: Study) -> Any:
        trials = study.get_trials(deepcopy=False)
        counts = {state.name.lower(): sum(trial.state == state for trial in trials) for state in TrialState}
        said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        log.info("%d of %d trials: %s", len(trials), self._total, said)
        if not counts["complete"]:
            raise SearchFailedError(f"{self._folder}: no trial came to its end: {said}")
        best = study.best_trials if len(study.directions) > 1 else [study.best_trial]
        for trial in best:
            chosen = " ".join(to_override(name, value) for name, value in trial.params.items())
            log.info(
                "%s: trial %d, %s, %s",
                "Pareto front" if len(best) > 1 else "best",
                trial.number,
                _values(trial),
                chosen,
            )
        for line in write_best(self._folder, best, self._loader):
            log.info("%s", line)
        return [trial.values for trial in best] if len(study.directions) > 1 else study.best_value


def _values(trial: FrozenTrial) -> str:
    return ", ".join(f"{value:.6g}" for value in trial.values)


def _best_so_far(study: Study) -> str:
    if len(study.directions) > 1:
        return ""
    with contextlib.suppress(ValueError):
        return f" (best {study.best_value:.6g}, trial {study.best_trial.number})"
    return ""


def _at_once(config: DictConfig) -> int:
    """How many jobs the launcher runs at a time, as far as its config says so."""
    jobs = config.hydra.launcher.get("n_jobs", 1)
    if not isinstance(jobs, int) or jobs == 0:
        return 1
    cores = os.cpu_count() or 1
    return jobs if jobs > 0 else max(1, cores + 1 + jobs)
