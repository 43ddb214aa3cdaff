"""What Hydra looks for: the sweeper named ``optuna`` and its options; read at every start, so nothing heavy here."""

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

_STOPPED, _BAD_INPUT = 1, 2


@dataclass
class OptunaSweeperConf:
    """Options under ``hydra.sweeper``.

    Attributes:
        params: search space and fixed values by option, in Hydra's grammar: ``choice(2,3)``, ``range(1,9,step=2)``,
            ``interval(0,1)``, ``int(interval(1,9))``, ``tag(log,interval(1e-5,1e-2))``.
        search_space: a function by ``_target_`` for conditional spaces, called with (config, trial): each
            ``trial.suggest_*`` names an option; a dict that it returns adds overrides that are no parameters.
        n_trials: trials in all, over every start of the command; null: each point of a grid, else 50.
        n_jobs: trials given to the launcher at a time; null: as many as it runs at once if it says so, else 1.
        max_failures: failures in a row that end the search.
        direction: ``maximize``, ``minimize``, or a list of them if the job returns several values.
        sampler: tpe, grid, random, cmaes or nsgaii.
        sampler_options: arguments of Optuna's class, such as ``{n_startup_trials: 5}``.
        pruner: none, median, halving or hyperband.
        pruner_options: arguments of Optuna's class.
        seed: of the sampler; each trial's is derived from it and the trial's number.
        storage: null for a journal in the sweep's folder, a file ``*.journal``, or a URL of a database.
        study_name: null for ``search`` in a journal, and for the name of the sweep's folder in a database.
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
        """One direction an objective."""
        return list(self.direction) if isinstance(self.direction, list) else [str(self.direction)]


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=OptunaSweeperConf, provider="sr_optuna")


class OptunaSweeper(Sweeper):
    """Runs one job a trial until the study has as many as asked for."""

    def __init__(self, **options: Any) -> None:
        """Take the options of `OptunaSweeperConf`."""
        self.options = options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember what Hydra hands over."""
        self._given = hydra_context, task_function, config

    def sweep(self, arguments: List[str]) -> Any:  # noqa: UP006
        """Search; bad options end with one line and exit code 2, too many failures with 1.

        Returns:
            The values of the best trial, or of the Pareto front's.
        """
        from hydra_plugins.sr_optuna._errors import SearchError, SearchFailedError
        from hydra_plugins.sr_optuna._search import Search

        try:
            options = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(OptunaSweeperConf), self.options))
            assert isinstance(options, OptunaSweeperConf)
            return Search(options, *self._given, arguments).run()
        except SearchFailedError as error:
            log.error("error: %s", error)
            sys.exit(_STOPPED)
        except (SearchError, OmegaConfBaseException) as error:
            log.error("error: %s", str(error).partition("\n")[0])
            sys.exit(_BAD_INPUT)
