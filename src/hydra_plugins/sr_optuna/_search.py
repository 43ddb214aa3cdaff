"""The search: take the next trials, launch them, look what came of them, until there are as many as asked for."""

import contextlib
import importlib
import logging
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hydra_plugins.sr_optuna._best import write_best
from hydra_plugins.sr_optuna._errors import SearchError, SearchFailedError
from hydra_plugins.sr_optuna._job import STARTS, Objective, fail, lock_of
from hydra_plugins.sr_optuna._locks import Locks
from hydra_plugins.sr_optuna._space import Space, grid_points, parse_space, sample_point, suggest, to_override
from hydra_plugins.sr_optuna._study import GRID, make_pruner, make_sampler, opened, place_of
from hydra_plugins.sr_optuna._trials import Job, Trials
from hydra_plugins.sr_optuna.sweeper import OptunaSweeperConf

log = logging.getLogger(__name__)

_TRIALS = 50  # if the sampler sets no end
_LEFT_BEHIND = 1.0  # seconds between looks at jobs whose launching process is gone


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
        _check(options)
        self._space = self._read_space(arguments)
        self._grid = grid_points(self._space.distributions) if options.sampler == GRID else []
        total = options.n_trials if options.n_trials is not None else len(self._grid) or _TRIALS
        self._total = min(total, len(self._grid)) if self._grid else total
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
        self._launched = 0

    def run(self) -> Any:
        """Search until there are as many trials as asked for, over all starts and all processes.

        Returns:
            Values of the best trial, or of each of the Pareto front; None if other processes still run the first ones.

        Raises:
            SearchFailedError: after too many failures in a row, or if no trial came to its end.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with opened(self._place, directions=self._options.directions()) as (study, locks):
            with locks.hold("study", -1):
                self._check_same_search(study)
            OmegaConf.save(self._config, self._folder / "multirun.yaml")
            myself = f"sweeper-{uuid.uuid4().hex[:12]}"
            with locks.hold(myself, 0):
                self._search(
                    Trials(study, locks, myself, self._total, self._sampler, self._choose, self._compose, self._grid)
                )
            with locks.hold("study", -1):  # another process may end at the same moment and write the same files
                return self._finish(study)

    def _read_space(self, arguments: Sequence[str]) -> Space:
        """The space of the options, after one point of it was seen to make a job."""
        params = [to_override(name, value) for name, value in self._options.params.items()]
        parser = OverridesParser.create(config_loader=self._loader)
        try:
            space = parse_space(parser.parse_overrides([*params, *arguments]))
            self._compose([*space.fixed, *sample_point(space.distributions)])
        except (HydraException, OmegaConfBaseException) as error:
            raise SearchError(" ".join(str(error).split())) from error
        if self._options.search_space:
            _check_importable(str(self._options.search_space.get("_target_")))
        if not space.distributions and not self._options.search_space:
            raise SearchError(
                "nothing to search: name options with choice(), range() or interval(), "
                "for example 'optimizer.lr=tag(log,interval(1e-5,1e-2))', or hydra.sweeper.search_space"
            )
        return space

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

    def _sampler(self, number: int) -> Any:
        return make_sampler(self._options.sampler, self._options.sampler_options, self._options.seed, number)

    def _choose(self, trial: Trial) -> list[str]:
        """Let a trial choose by the space and by the user's function; the overrides of its job."""
        suggest(trial, self._space.distributions)
        more: dict[str, Any] = {}
        if self._options.search_space:
            config = self._compose(self._space.fixed)
            more = instantiate(self._options.search_space, config, trial) or {}
        chosen = [to_override(name, value) for name, value in [*trial.params.items(), *more.items()]]
        return [*self._space.fixed, *chosen]

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        return self._loader.load_sweep_config(self._config, list(overrides))

    def _search(self, trials: Trials) -> None:
        failures = 0
        waited = False
        while True:
            if batch := trials.take(self._batch_size):
                self._launch(trials, batch)
                failures = self._look(trials.study, batch, failures)
            elif trials.left_behind():
                if not waited:
                    log.info("waiting for trials that a search before this one left running")
                waited = True
                time.sleep(_LEFT_BEHIND)
            else:
                return

    def _launch(self, trials: Trials, batch: Sequence[Job]) -> None:
        """Run a batch, and settle what came back without a word in the study."""
        study, locks = trials.study, trials.locks
        jobs = {job.number: job.overrides for job in batch if job.overrides is not None}
        starts = {number: study.trials[number].user_attrs.get(STARTS, 0) for number in jobs}
        returned: Sequence[JobReturn] = []
        gave_up = ""
        try:
            if jobs:
                returned = self._launcher.launch(list(jobs.values()), initial_job_idx=self._launched)
        except Exception as error:  # some launchers raise for a whole batch if one process of it dies
            gave_up = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            log.warning("the launcher gave up on a batch: %s", gave_up)
        self._launched += len(jobs)
        for number, job in zip(jobs, returned, strict=False):
            if job.status == JobStatus.FAILED and _is_open(study, locks, number):
                fail(study, number, f"{type(job._return_value).__name__}: {job._return_value}")
        for number in jobs:
            started = study.trials[number].user_attrs.get(STARTS, 0) > starts[number]
            if gave_up and started and _is_open(study, locks, number):
                if len(jobs) == 1:
                    fail(study, number, f"its process died: {gave_up}")
                else:
                    trials.suspects.add(number)

    def _look(self, study: Study, batch: Sequence[Job], failures: int) -> int:
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
                    f"the last {failures} trials failed, the last because: {trial.user_attrs.get('reason')}; fix it "
                    "and start the same command again (failed trials count), or raise hydra.sweeper.max_failures"
                )
        return failures

    def _finish(self, study: Study) -> Any:
        trials = study.get_trials(deepcopy=False)
        counts = {state: sum(trial.state == state for trial in trials) for state in TrialState}
        said = ", ".join(f"{count} {state.name.lower()}" for state, count in counts.items() if count)
        log.info("%d of %d trials: %s", len(trials), self._total, said)
        if not counts[TrialState.COMPLETE]:
            if counts[TrialState.RUNNING]:
                return None  # other processes have them
            raise SearchFailedError(f"{self._folder}: no trial came to its end: {said}")
        several = len(study.directions) > 1
        best = study.best_trials if several else [study.best_trial]
        name = "Pareto front" if several else "best"
        for trial in best:
            chosen = " ".join(to_override(option, value) for option, value in trial.params.items())
            log.info("%s: trial %d, %s, %s", name, trial.number, _values(trial), chosen)
        for command in write_best(self._folder, best, self._config, self._loader):
            log.info("train it: %s", command)
        return [trial.values for trial in best] if several else study.best_value


def _check(options: OptunaSweeperConf) -> None:
    for name, least in (("n_trials", 1), ("n_jobs", 1), ("max_failures", 1), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise SearchError(f"hydra.sweeper.{name} must be at least {least}, got {value}")
    directions = options.directions()
    if not directions or set(directions) - {"maximize", "minimize"}:
        raise SearchError(f"hydra.sweeper.direction must be maximize or minimize, got {options.direction!r}")
    if len(directions) > 1 and options.pruner != "none":
        raise SearchError("hydra.sweeper.pruner: Optuna prunes searches with one objective only: pruner=none")
    if len(directions) > 1 and options.sampler == "cmaes":
        raise SearchError("hydra.sweeper.sampler: cmaes has one objective: use tpe or nsgaii")
    if options.sampler == GRID and options.search_space:
        raise SearchError("sampler=grid cannot enumerate a search_space function: use choice() and range()")
    for name in ("sampler_options", "pruner_options", "search_space"):
        value = getattr(options, name)
        if value is not None and not isinstance(value, dict):
            raise SearchError(f"hydra.sweeper.{name} must be a mapping such as {{name: value}}, got {value!r}")
    make_sampler(options.sampler, options.sampler_options, options.seed)
    make_pruner(options.pruner, options.pruner_options)


def _check_importable(target: str) -> None:
    module, _, name = target.rpartition(".")
    try:
        getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SearchError(f"hydra.sweeper.search_space: _target_ {target!r} cannot be imported ({error})") from error


def _is_open(study: Study, locks: Locks, number: int) -> bool:
    """Whether a trial is neither over nor in the hands of a job."""
    return study.trials[number].state == TrialState.RUNNING and not locks.is_held(lock_of(number))


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
