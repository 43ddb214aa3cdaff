"""Weights & Biases, offline unless told otherwise."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from sr.io.paths import shortest_path
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.trackers.common import keep_id, known_id, need, new_id

_NAME = "wandb"


class WandbTracker(WandbLogger):
    """Lightning's logger, which also keeps pictures, options and final scores; see `sr.trackers.common.Tracker`."""

    label = "W&B"

    def __init__(
        self,
        run_dir: str,
        project: str = "sr",
        offline: bool = True,
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        continued: bool = False,
    ) -> None:
        """Prepare a run; nothing is written before the training starts.

        Args:
            run_dir: folder of the run; its id there is kept in it.
            project: to which the run belongs.
            offline: write to the run folder; ``wandb sync runs/NAME/wandb/offline-*`` uploads it.
            entity: user or team that the project belongs to.
            group: of runs that the page shows together.
            tags: of the run.
            continued: whether the run is resumed.

        Raises:
            UserError: if wandb is not installed.
        """
        need("wandb", _NAME)
        self._run_dir, self._continued = run_dir, continued
        super().__init__(
            name=shortest_path(Path(run_dir)),
            save_dir=run_dir,
            id=(known_id(run_dir, _NAME) if continued else None) or new_id(),
            project=project,
            offline=offline,
            entity=entity,
            group=group,
            tags=list(tags),
        )
        self._wandb_init.pop("anonymous", None)  # wandb warns that it has no effect any more

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run of wandb, begun at the first access."""
        Path(self._run_dir).mkdir(parents=True, exist_ok=True)
        run = super().experiment
        keep_id(self._run_dir, _NAME, str(self._id))
        return run

    @rank_zero_only
    def show(self, name: str, picture: Tensor, step: int) -> None:
        """Keep a picture, uint8 ``(3, H, W)``."""
        import wandb

        image = wandb.Image(picture.permute(1, 2, 0).numpy())
        self.experiment.log({name: image, "trainer/global_step": step})

    @rank_zero_only
    def describe(self, options: Mapping[str, object]) -> None:
        """Keep the options of the run, and of a resumed one the scores of its epochs before.

        wandb holds what it has logged in memory for a while, where a kill loses it.
        """
        self.experiment.config.update(dict(options), allow_val_change=True)
        table = RunFolder(Path(self._run_dir)).metrics
        for row in read_table(table) if self._continued and table.is_file() else []:
            values = {name: float(value) for name, value in row.items() if value and "/" in name}
            self.log_metrics(values, int(row["step"]) - 1)  # the step under which Lightning logs a validation

    @rank_zero_only
    def conclude(self, scores: Mapping[str, float]) -> None:
        """Keep the final scores in the summary of the run."""
        self.experiment.summary.update(dict(scores))

    @rank_zero_only
    def close(self) -> None:
        """Finish the run."""
        if self._experiment is not None:
            self.experiment.finish()
