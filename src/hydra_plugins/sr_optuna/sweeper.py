"""The Hydra sweeper ``optuna`` and its options. Hydra imports this at every start, so heavy imports are deferred."""

import logging
import sys
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional  # noqa: UP035

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

log = logging.getLogger(__name__)

_EXIT_FAILED, _EXIT_BAD_OPTIONS = 1, 2


@dataclass
class OptunaSweeperConf:
    """Options under ``hydra.sweeper``.

    Attributes:
        params: search space and fixed values by option, in Hydra's grammar: ``choice(2,3)``, ``range(1,9,step=2)``,
            ``interval(0,1)``, ``int(interval(1,9))``, ``tag(log,interval(1e-5,1e-2))``.
        search_space: ``_target_`` of a function for conditional spaces, called with (config, trial). Each
            ``trial.suggest_*`` in it sets an option; it may return a dict of further overrides.
        n_trials: total number of trials, including those of earlier runs of the command; null: all points of a grid,
            or 50 with other samplers.
        n_jobs: number of trials passed to the launcher at a time; null: ``hydra.launcher.n_jobs`` if set, else 1.
        max_failures: number of consecutive failures that end the search.
        direction: ``maximize``, ``minimize``, or a list with one direction per objective.
        sampler: tpe, grid, random, cmaes or nsgaii.
        sampler_options: arguments of Optuna's sampler class, such as ``{n_startup_trials: 5}``.
        pruner: none, median, halving or hyperband.
        pruner_options: arguments of Optuna's pruner class.
        seed: seed of the search; the sampler of each trial is seeded from it and the trial's number.
        storage: null for a journal in the sweep's folder, a ``*.journal`` file, or a database URL.
        study_name: null: ``search`` in a journal, the name of the sweep's folder in a database.
    """

    _target_: str = "hydra_plugins.sr_optuna.sweeper.OptunaSweeper"
    _recursive_: bool = False
    params: Dict[str, Any] = field(default_factory=dict)  # noqa: UP006
    search_space: Any = None
    n_trials: Optional[int] = None  # noqa: UP045
    n_jobs: Optional[int] = None  # noqa: UP045
    max_failures: int = 5
    direction: Any = "maximize"
    sampler: str = "tpe"
    sampler_options: Any = None
    pruner: str = "none"
    pruner_options: Any = None
    seed: int = 0
    storage: Optional[str] = None  # noqa: UP045
    study_name: Optional[str] = None  # noqa: UP045

    def directions(self) -> List[str]:  # noqa: UP006
        """One direction per objective."""
        return list(self.direction) if isinstance(self.direction, list) else [str(self.direction)]


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaSweeperConf, provider="sr_optuna")


class OptunaSweeper(Sweeper):
    """Runs one job per trial until the study has the requested number of trials."""

    def __init__(self, **options: Any) -> None:
        """Take the options of `OptunaSweeperConf`."""
        self.options = options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store the arguments until `sweep`."""
        self._setup_arguments = hydra_context, task_function, config

    def sweep(self, arguments: List[str]) -> Any:  # noqa: UP006
        """Search; exits with one line and code 2 for bad options, or code 1 if the search fails.

        Returns:
            The value of the best trial, or the values of each trial on the Pareto front.
        """
        from hydra_plugins.sr_optuna._errors import SearchError, SearchFailedError
        from hydra_plugins.sr_optuna._search import Search

        try:
            options = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(OptunaSweeperConf), self.options))
            assert isinstance(options, OptunaSweeperConf)
            return Search(options, *self._setup_arguments, arguments).run()
        except SearchFailedError as error:
            log.error("error: %s", error)
            sys.exit(_EXIT_FAILED)
        except (SearchError, OmegaConfBaseException) as error:
            log.error("error: %s", str(error).partition("\n")[0])
            sys.exit(_EXIT_BAD_OPTIONS)
