"""The Hydra sweeper ``jobs``: jobs that are no product of lists, such as those of a round of ``sr decide``."""

import json
from pathlib import Path
from typing import Any, List  # noqa: UP035

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# A plain dict: configs of experiments may set options of other sweepers, which are not used.
ConfigStore.instance().store(
    group="hydra/sweeper",
    name="jobs",
    node={"_target_": "hydra_plugins.sr_jobs.sweeper.JobsSweeper", "_recursive_": False, "file": "???"},
    provider="sr_jobs",
)


class JobsSweeper(Sweeper):
    """Launches the jobs of a JSON file at once: a list of lists of overrides."""

    def __init__(self, file: str, **unused: Any) -> None:
        """Take the file; options of other sweepers are ignored."""
        self._file = Path(file)
        self._launcher: Launcher

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher."""
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: List[str]) -> Any:  # noqa: UP006
        """Launch the jobs, each with the overrides of the command line first."""
        jobs = json.loads(self._file.read_text(encoding="utf-8"))
        return self._launcher.launch([[*arguments, *job] for job in jobs], initial_job_idx=0)
