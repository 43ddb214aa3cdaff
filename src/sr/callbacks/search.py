"""Reports from inside a search's trial."""

from typing import Any

from lightning import Callback, LightningModule, Trainer

from hydra_plugins.sr_optuna.reporting import in_trial, reporter
from sr.errors import PrunedError


class TrialReports(Callback):
    """Tells a search after each validation how far its trial has come, and ends the trial where the pruner says so.

    Outside a search it does nothing. Epochs count from 1 and on through the folds: with ten epochs, fold 1 reports its
    first as 11, so that a trial is compared with others on the same images only.
    """

    def __init__(self, monitor: str, fold: Any = None) -> None:
        """Report ``monitor``, as logged; ``fold`` is the number of the fold, or null without folds."""
        self._monitor = monitor
        self._fold = fold if isinstance(fold, int) else 0
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that there is something to report."""
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the score.

        Raises:
            PrunedError: if the trial is not worth going on with.
        """
        if not self._validated or not in_trial() or not trainer.is_global_zero:
            return
        self._validated = False
        assert trainer.max_epochs is not None
        step = self._fold * max(trainer.max_epochs, 0) + trainer.current_epoch + 1
        score = float(trainer.callback_metrics[self._monitor])
        if reporter().report(score, step):
            raise PrunedError(f"pruned after epoch {trainer.current_epoch + 1}: {self._monitor} {score:.6g}")
