"""The search: launch trials in batches and log their results, until there are as many as requested."""

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
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from hydra_plugins.sr_optuna._best import write_best
from hydra_plugins.sr_optuna._errors import SearchError, SearchFailedError
from hydra_plugins.sr_optuna._job import STARTS_ATTR, Objective, fail_trial, lock_name
from hydra_plugins.sr_optuna._locks import Locks
from hydra_plugins.sr_optuna._space import Space, example_point, grid_points, parse_space, suggest, to_override
from hydra_plugins.sr_optuna._study import GRID, make_pruner, make_sampler, open_study, study_config
from hydra_plugins.sr_optuna._trials import Job, Trials
from hydra_plugins.sr_optuna.sweeper import OptunaSweeperConf

log = logging.getLogger(__name__)

_DEFAULT_TRIALS = 50  # for samplers other than grid
_ORPHAN_POLL_SECONDS = 1.0


class Search:
    """One run of the command; several may share a study, one after another or at the same time."""

    def __init__(
        self,
        options: OptunaSweeperConf,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
        arguments: Sequence[str],
    ) -> None:
        """Check the options and parse the search space.

        Raises:
            SearchError: if they are invalid.
        """
        self._options, self._config, self._loader = options, config, hydra_context.config_loader
        _check_options(options)
        _check_number_of_objectives(config, options.directions())
        self._space = self._parse_space(arguments)
        self._grid = grid_points(self._space.distributions) if options.sampler == GRID else []
        total = options.n_trials if options.n_trials is not None else len(self._grid) or _DEFAULT_TRIALS
        self._total = min(total, len(self._grid)) if self._grid else total
        self._folder = Path(config.hydra.sweep.dir).absolute()
        self._study_config = replace(
            study_config(self._folder, options.storage, options.study_name),
            pruner=options.pruner,
            pruner_options=options.pruner_options,
        )
        objective = Objective(task_function, self._study_config, len(options.directions()))
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=objective, config=config
        )
        self._batch_size = options.n_jobs or _launcher_jobs(config)
        self._n_launched = 0

    def run(self) -> Any:
        """Search until the study has the requested number of trials, counting those of other runs and processes.

        Returns:
            The value of the best trial, or the values of each trial on the Pareto front; None if no trial is complete
            and other processes still run some.

        Raises:
            SearchFailedError: after too many consecutive failures, or if no trial completed.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with open_study(self._study_config, directions=self._options.directions()) as (study, locks):
            with locks.hold("study", -1):
                self._check_same_search(study)
            OmegaConf.save(self._with_total(), self._folder / "multirun.yaml")
            trials = Trials(
                study,
                locks,
                sweeper_lock=f"sweeper-{uuid.uuid4().hex[:12]}",
                total=self._total,
                make_sampler=self._make_sampler,
                suggest_overrides=self._suggest_overrides,
                compose=self._compose,
                grid=self._grid,
            )
            with locks.hold(trials.sweeper_lock, 0):
                self._search(trials)
            with locks.hold("study", -1):  # another process may finish at the same time and write the same files
                return self._finish(study)

    def _with_total(self) -> DictConfig:
        """The config with the number of trials that follows from the options, for whoever lists the folder."""
        config = self._config.copy()
        with open_dict(config):
            config.hydra.sweeper.n_trials = self._total
        return config

    def _parse_space(self, arguments: Sequence[str]) -> Space:
        """The search space of the options, after checking that one of its points can be composed."""
        params = [to_override(name, value) for name, value in self._options.params.items()]
        parser = OverridesParser.create(config_loader=self._loader)
        try:
            space = parse_space(parser.parse_overrides([*params, *arguments]))
            self._compose([*space.fixed, *example_point(space.distributions)])
        except (HydraException, OmegaConfBaseException) as error:
            raise SearchError(" ".join(str(error).split())) from error
        if self._options.search_space:
            _check_importable(str(self._options.search_space.get("_target_")))
        if not space.distributions and not self._options.search_space:
            raise SearchError(
                "nothing to search: set options to choice(), range() or interval(), "
                "for example 'optimizer.lr=tag(log,interval(1e-5,1e-2))', or set hydra.sweeper.search_space"
            )
        return space

    def _check_same_search(self, study: Study) -> None:
        """Check that the stored study, if any, has the same search space and directions."""
        description = self._space.describe() | {"function": (self._options.search_space or {}).get("_target_")}
        stored = study.user_attrs.get("search")
        if stored is None:
            study.set_user_attr("search", description)
        elif stored != description:
            key = next(key for key in description if stored.get(key) != description[key])
            raise SearchError(
                f"study {study.study_name}: holds a different search, with {key} {stored.get(key)} instead of "
                f"{description[key]}: choose another hydra.sweep.dir or hydra.sweeper.study_name"
            )
        directions = [direction.name.lower() for direction in study.directions]
        if directions != self._options.directions():
            raise SearchError(
                f"study {study.study_name}: holds a different search, with direction {directions} instead of "
                f"{self._options.directions()}: choose another hydra.sweep.dir or hydra.sweeper.study_name"
            )

    def _make_sampler(self, number: int) -> Any:
        return make_sampler(self._options.sampler, self._options.sampler_options, self._options.seed, number)

    def _suggest_overrides(self, trial: Trial) -> list[str]:
        """Sample a trial's parameters from the space and the user's function; returns the overrides of its job."""
        suggest(trial, self._space.distributions)
        extra: dict[str, Any] = {}
        if self._options.search_space:
            config = self._compose(self._space.fixed)
            extra = instantiate(self._options.search_space, config, trial) or {}
        values = [*trial.params.items(), *extra.items()]
        return [*self._space.fixed, *(to_override(name, value) for name, value in values)]

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        return self._loader.load_sweep_config(self._config, list(overrides))

    def _search(self, trials: Trials) -> None:
        failures = 0
        has_waited = False
        while True:
            if batch := trials.take(self._batch_size):
                self._launch(trials, batch)
                failures = self._log_results(trials.study, batch, failures)
            elif trials.has_orphans():
                if not has_waited:
                    log.info("waiting for trials that an earlier search left running")
                has_waited = True
                time.sleep(_ORPHAN_POLL_SECONDS)
            else:
                return

    def _launch(self, trials: Trials, batch: Sequence[Job]) -> None:
        """Run a batch, and handle jobs that ended without a result in the study."""
        study, locks = trials.study, trials.locks
        jobs = {job.number: job.overrides for job in batch if job.overrides is not None}
        starts = {number: study.trials[number].user_attrs.get(STARTS_ATTR, 0) for number in jobs}
        job_returns: Sequence[JobReturn] = []
        launcher_error = ""
        try:
            if jobs:
                job_returns = self._launcher.launch(list(jobs.values()), initial_job_idx=self._n_launched)
        except Exception as error:  # some launchers raise for the whole batch if one of its processes dies
            launcher_error = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            log.warning("the launcher failed on a batch: %s", launcher_error)
        self._n_launched += len(jobs)
        for number, job_return in zip(jobs, job_returns, strict=False):
            if job_return.status == JobStatus.FAILED and _is_abandoned(study, locks, number):
                job_error = job_return._return_value
                fail_trial(study, number, f"{type(job_error).__name__}: {job_error}")
        for number in jobs:
            has_started = study.trials[number].user_attrs.get(STARTS_ATTR, 0) > starts[number]
            if launcher_error and has_started and _is_abandoned(study, locks, number):
                if len(jobs) == 1:
                    fail_trial(study, number, f"its process died: {launcher_error}")
                else:
                    trials.suspects.add(number)

    def _log_results(self, study: Study, batch: Sequence[Job], failures: int) -> int:
        """Log the results of a batch; returns the updated number of consecutive failures.

        Raises:
            SearchFailedError: if there are too many.
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
                    f"the last {failures} trials failed, most recently with {trial.user_attrs.get('reason')}; fix it "
                    "and run the same command again (failed trials count), or raise hydra.sweeper.max_failures"
                )
        return failures

    def _finish(self, study: Study) -> Any:
        trials = study.get_trials(deepcopy=False)
        counts = {state: sum(trial.state == state for trial in trials) for state in TrialState}
        counts_text = ", ".join(f"{count} {state.name.lower()}" for state, count in counts.items() if count)
        log.info("%d of %d trials: %s", len(trials), self._total, counts_text)
        if not counts[TrialState.COMPLETE]:
            if counts[TrialState.RUNNING]:
                return None  # other processes run them
            raise SearchFailedError(f"{self._folder}: no trial completed: {counts_text}")
        is_multi_objective = len(study.directions) > 1
        best_trials = study.best_trials if is_multi_objective else [study.best_trial]
        label = "Pareto front" if is_multi_objective else "best"
        for trial in best_trials:
            params = " ".join(to_override(name, value) for name, value in trial.params.items())
            log.info("%s: trial %d, %s, %s", label, trial.number, _values(trial), params)
        for command in write_best(self._folder, best_trials, self._config, self._loader, len(trials)):
            log.info("train it: %s", command)
        return [trial.values for trial in best_trials] if is_multi_objective else study.best_value


def _check_number_of_objectives(config: DictConfig, directions: Sequence[str]) -> None:
    """Compare the directions with the names that ``objectives`` lists; null means one value."""
    names = config.get("objectives", 0)
    if names is not None and not isinstance(names, ListConfig):
        return  # of another program
    count = len(names) if names else 1
    if count != len(directions):
        raise SearchError(
            f"hydra.sweeper.direction has {len(directions)} directions for {count} objectives: one each is needed, "
            "as in hydra.sweeper.direction=[maximize,minimize] objectives=[val/psnr,ms_per_image]"
        )


def _check_options(options: OptunaSweeperConf) -> None:
    for name, minimum in (("n_trials", 1), ("n_jobs", 1), ("max_failures", 1), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and value < minimum:
            raise SearchError(f"hydra.sweeper.{name} must be at least {minimum}, got {value}")
    directions = options.directions()
    if not directions or set(directions) - {"maximize", "minimize"}:
        raise SearchError(f"hydra.sweeper.direction must be maximize or minimize, got {options.direction!r}")
    if len(directions) > 1 and options.pruner != "none":
        raise SearchError("hydra.sweeper.pruner: Optuna prunes only searches with one objective: set pruner=none")
    if len(directions) > 1 and options.sampler == "cmaes":
        raise SearchError("hydra.sweeper.sampler: cmaes supports only one objective: use tpe or nsgaii")
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


def _is_abandoned(study: Study, locks: Locks, number: int) -> bool:
    """Whether a trial is unfinished but no job is running it."""
    return study.trials[number].state == TrialState.RUNNING and not locks.is_held(lock_name(number))


def _values(trial: FrozenTrial) -> str:
    return ", ".join(f"{value:.6g}" for value in trial.values)


def _best_so_far(study: Study) -> str:
    if len(study.directions) > 1:
        return ""
    with contextlib.suppress(ValueError):
        return f" (best {study.best_value:.6g}, trial {study.best_trial.number})"
    return ""


def _launcher_jobs(config: DictConfig) -> int:
    """How many jobs the launcher runs at a time according to its config; 1 if it does not say."""
    n_jobs = config.hydra.launcher.get("n_jobs", 1)
    if not isinstance(n_jobs, int) or n_jobs == 0:
        return 1
    n_cores = os.cpu_count() or 1
    return n_jobs if n_jobs > 0 else max(1, n_cores + 1 + n_jobs)
