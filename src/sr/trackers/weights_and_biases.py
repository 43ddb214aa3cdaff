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
from sr.trackers.common import Ending, keep_id, known_id, need, new_id

_NAME = "wandb"
_EXIT_CODES = {Ending.FAILED: 1, Ending.INTERRUPTED: 255}  # 255 is wandb's own after Ctrl-C
_KEPT = "wandb, last step"  # beside the ids: what W&B holds up to


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
        resumed_at: int | None = None,
    ) -> None:
        """Prepare a run; nothing is written before the training starts.

        Args:
            run_dir: folder of the run; its id there is kept in it.
            project: to which the run belongs.
            offline: write to the run folder; ``wandb sync runs/NAME/wandb/offline-*`` uploads it.
            entity: user or team that the project belongs to.
            group: of runs that the page shows together.
            tags: of the run.
            resumed_at: the step that a run is resumed at; None for one that begins.

        Raises:
            UserError: if wandb is not installed.
        """
        need("wandb", _NAME)
        self._run_dir, self._is_resumed, self._last_step = run_dir, resumed_at is not None, -1
        super().__init__(
            name=shortest_path(Path(run_dir)),
            save_dir=run_dir,
            id=(known_id(run_dir, _NAME) if resumed_at is not None else None) or new_id(),
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
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep values of a step."""
        super().log_metrics(metrics, step)
        self._last_step = max(self._last_step, -1 if step is None else step)

    @rank_zero_only
    def describe(self, options: Mapping[str, object]) -> None:
        """Keep the options of the run, and of a resumed one the scores of the epochs that a kill may have lost.

        wandb holds what it has logged in memory for a while; what was there when it was last closed is kept.
        """
        self.experiment.config.update(dict(options), allow_val_change=True)
        table = RunFolder(Path(self._run_dir)).metrics
        kept = int(known_id(self._run_dir, _KEPT) or -1) if self._is_resumed else -1
        for row in read_table(table) if self._is_resumed and table.is_file() else []:
            step = int(row["step"]) - 1  # under which Lightning logs a validation
            if step > kept:
                self.log_metrics({name: float(value) for name, value in row.items() if value and "/" in name}, step)

    @rank_zero_only
    def conclude(self, scores: Mapping[str, float], step: int) -> None:
        """Keep the final scores in the summary of the run."""
        self.experiment.summary.update(dict(scores))

    @rank_zero_only
    def close(self, ending: Ending) -> None:
        """Finish the run; its exit code says whether it failed or was interrupted, a tag that it was pruned."""
        if self._experiment is not None:
            if ending is Ending.PRUNED:
                self.experiment.tags = (*(self.experiment.tags or ()), ending.value)
            self.experiment.finish(exit_code=_EXIT_CODES.get(ending, 0))
            if self._last_step >= 0:
                keep_id(self._run_dir, _KEPT, str(self._last_step))
