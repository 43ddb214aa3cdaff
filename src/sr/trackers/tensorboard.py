"""TensorBoard, in the folder of the run."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor

from sr.trackers.common import Ending

_FIRST = "val/"  # TensorBoard sorts by the codes of letters, capitals first


class TensorBoardTracker(TensorBoardLogger):
    """Lightning's logger, which also keeps pictures, options and final scores; see `sr.trackers.common.Tracker`.

    Scores of the validation images are called ``Val/...``, so that TensorBoard shows them before all others.
    """

    label = "TensorBoard"

    def __init__(self, run_dir: str, resumed_at: int | None = None, **kwargs: Any) -> None:
        """Prepare the folder; nothing is written before the training starts.

        Args:
            run_dir: folder of the run.
            resumed_at: the step that a run is resumed at; what is there from it on is hidden, since it is logged again.
            kwargs: options of `torch.utils.tensorboard.SummaryWriter`.
        """
        if resumed_at is not None:
            kwargs["purge_step"] = resumed_at
        super().__init__(run_dir, name="", version="", default_hp_metric=False, **kwargs)
        self._options: Mapping[str, object] = {}

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep values of a step."""
        super().log_metrics({_tag(name): value for name, value in metrics.items()}, step)

    @rank_zero_only
    def show(self, name: str, picture: Tensor, step: int) -> None:
        """Keep a picture, uint8 ``(3, H, W)``, away from the scores."""
        self.experiment.add_image(name.replace(_FIRST, "pictures/", 1), picture, step)

    @rank_zero_only
    def describe(self, options: Mapping[str, object]) -> None:
        """Remember the options of the run: TensorBoard wants them together with its final scores."""
        self._options = options

    @rank_zero_only
    def conclude(self, scores: Mapping[str, float], step: int) -> None:
        """Keep the options beside the final scores."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import
        from torch.utils.tensorboard.summary import hparams

        with SummaryWriter(self.log_dir) as writer:  # the logger's own is closed when training ends
            for summary in hparams(dict(self._options), dict(scores)):
                writer.file_writer.add_summary(summary)
            for name, value in scores.items():
                writer.add_scalar(name, value, step)

    def close(self, ending: Ending) -> None:
        """Do nothing: Lightning closes the file, and TensorBoard knows no state of a run."""


def _tag(name: str) -> str:
    """The name in TensorBoard.

    >>> _tag("val/psnr"), _tag("train/loss")
    ('Val/psnr', 'train/loss')
    """
    return f"V{name[1:]}" if name.startswith(_FIRST) else name
