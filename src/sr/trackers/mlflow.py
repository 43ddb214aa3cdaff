"""MLflow, in a local database unless told otherwise."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from sr.errors import UserError, line_of
from sr.io.paths import shortest_path
from sr.trackers.common import Ending, keep_id, known_id, need

# Both say that a database or an experiment is created.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
logging.getLogger("lightning.pytorch.loggers.mlflow").setLevel(logging.ERROR)

_NAME = "mlflow"
_STATUS = {Ending.FAILED: "FAILED", Ending.PRUNED: "FINISHED", Ending.INTERRUPTED: "KILLED"}
_LONGEST = 250  # characters of a parameter, to which Lightning cuts them
_NOT_IN_KEYS = re.compile(r"[^\w\-. /]", re.ASCII)


class MlflowTracker(MLFlowLogger):
    """Lightning's logger, which also keeps pictures, options and final scores; see `sr.trackers.common.Tracker`."""

    label = "MLflow"

    def __init__(
        self,
        run_dir: str,
        experiment_name: str = "sr",
        tracking_uri: str = "sqlite:///mlflow.db",
        tags: Mapping[str, str] | None = None,
        resumed_at: int | None = None,
    ) -> None:
        """Prepare a run; nothing is written before the training starts.

        Args:
            run_dir: folder of the run; its id there is kept in it.
            experiment_name: to which the run belongs.
            tracking_uri: database or server; the default is the one that `mlflow ui` shows in the same folder.
            tags: of the run.
            resumed_at: the step that a run is resumed at; None for one that begins.

        Raises:
            UserError: if MLflow is not installed, or knows no such kind of store.
        """
        need("mlflow", _NAME)
        from mlflow.exceptions import MlflowException

        self._run_dir = run_dir
        try:
            super().__init__(
                experiment_name,
                run_name=shortest_path(Path(run_dir)),
                tracking_uri=tracking_uri,
                run_id=known_id(run_dir, _NAME) if resumed_at is not None else None,
                tags=dict(tags or {}),
            )
        except MlflowException as error:
            raise UserError(f"logger.mlflow.tracking_uri={tracking_uri}: {line_of(error)}") from error

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The client of MLflow, with the run begun or continued at the first access."""
        begins = not self._initialized
        client = super().experiment
        if begins:
            client.update_run(self._run_id, status="RUNNING")
            keep_id(self._run_dir, _NAME, str(self._run_id))
        return client

    @rank_zero_only
    def show(self, name: str, picture: Tensor, step: int) -> None:
        """Keep a picture, uint8 ``(3, H, W)``."""
        key = _NOT_IN_KEYS.sub("_", name)
        self.experiment.log_image(self.run_id, picture.permute(1, 2, 0).numpy(), key=key, step=step)

    @rank_zero_only
    def describe(self, options: Mapping[str, object]) -> None:
        """Keep the options of the run; those that differ in a resumed run, as of one that is extended, become tags.

        MLflow does not let a parameter change.
        """
        kept = self.experiment.get_run(self.run_id).data.params
        self.log_hyperparams({name: value for name, value in options.items() if name not in kept})
        for name, value in options.items():
            if name in kept and kept[name] != str(value)[:_LONGEST]:
                self.experiment.set_tag(self.run_id, name, str(value))

    @rank_zero_only
    def conclude(self, scores: Mapping[str, float], step: int) -> None:
        """Keep the final scores."""
        self.log_metrics(dict(scores))

    @rank_zero_only
    def close(self, ending: Ending) -> None:
        """Say how a run ended that did not finish, with a tag if it was pruned.

        Lightning ends every run, but takes an interrupted or pruned one for failed, and does not know of what follows
        the training.
        """
        if self._initialized and ending in _STATUS:
            self.experiment.set_terminated(self.run_id, _STATUS[ending])
            if ending is Ending.PRUNED:
                self.experiment.set_tag(self.run_id, "ending", ending.value)
