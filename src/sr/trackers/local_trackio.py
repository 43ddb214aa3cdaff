"""Trackio, which keeps runs in a local database."""

import contextlib
import io
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from sr.io.paths import shortest_path
from sr.trackers.common import Ending, keep_id, known_id, need, new_id

_NAME = "trackio"


class TrackioTracker(Logger):
    """Curves, pictures, options and final scores in Trackio; see `sr.trackers.common.Tracker`."""

    label = "Trackio"

    def __init__(
        self, run_dir: str, project: str = "sr", group: str | None = None, resumed_at: int | None = None
    ) -> None:
        """Prepare a run; nothing is written before the training starts.

        Args:
            run_dir: folder of the run; its name in Trackio is kept in it.
            project: to which the run belongs.
            group: of runs that the page shows together.
            resumed_at: the step that a run is resumed at; None for one that begins.

        Raises:
            UserError: if Trackio is not installed.
        """
        super().__init__()
        need("trackio", _NAME)
        self._run_dir, self._project, self._group = run_dir, project, group
        name = known_id(run_dir, _NAME) if resumed_at is not None else None
        self._name = name or f"{shortest_path(Path(run_dir))} {new_id()}"
        self._run: Any = None

    @property
    def name(self) -> str:
        """Of the project."""
        return self._project

    @property
    def version(self) -> str:
        """Name of the run."""
        return self._name

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run of Trackio, begun or continued at the first access."""
        import trackio

        if self._run is None:
            with contextlib.redirect_stdout(io.StringIO()):  # what it prints would break the progress bar
                self._run = trackio.init(
                    project=self._project, name=self._name, group=self._group, resume="allow", embed=False
                )
            keep_id(self._run_dir, _NAME, self._name)
        return self._run

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep values of a step."""
        self.experiment.log(dict(metrics), step=step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: `describe` keeps all options."""

    @rank_zero_only
    def show(self, name: str, picture: Tensor, step: int) -> None:
        """Keep a picture, uint8 ``(3, H, W)``."""
        import trackio

        self.experiment.log({name: trackio.Image(picture.permute(1, 2, 0).numpy())}, step=step)

    @rank_zero_only
    def describe(self, options: Mapping[str, object]) -> None:
        """Keep the options of the run."""
        self.experiment.config.update(options)

    @rank_zero_only
    def conclude(self, scores: Mapping[str, float], step: int) -> None:
        """Keep the final scores."""
        self.experiment.log(dict(scores))

    @rank_zero_only
    def close(self, ending: Ending) -> None:
        """Write what is still waiting, and end the run; Trackio knows no state of it."""
        import trackio

        if self._run is not None:
            with contextlib.redirect_stdout(io.StringIO()):
                trackio.finish()  # type: ignore[no-untyped-call]
            self._run = None
