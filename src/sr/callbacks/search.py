"""Reports from inside a search's trial."""

from typing import Any

from lightning import Callback, LightningModule, Trainer

from hydra_plugins.sr_optuna.reporting import in_trial, reporter
from sr.callbacks.agreement import as_rank_zero
from sr.errors import PrunedError


class TrialReports(Callback):
    """Reports to a search after each validation, and ends the trial where the pruner says so.

    Outside a search it does nothing. Epochs count from 1 and on through the folds: with ten epochs, fold 1 reports its
    first as 11, so that a trial is compared with others on the same images only.
    """

    def __init__(self, monitor: str, fold: Any = None) -> None:
        """Report ``monitor``, as logged; ``fold`` is the number of the fold, or null without folds."""
        self._monitor = monitor
        self._fold = fold if isinstance(fold, int) else 0
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember that there is a score to report."""
        self._validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the score.

        Raises:
            PrunedError: on all processes of the run, if the trial is unpromising.
        """
        if not self._validated or not in_trial():
            return
        self._validated = False
        assert trainer.max_epochs is not None
        step = self._fold * max(trainer.max_epochs, 0) + trainer.current_epoch + 1
        score = float(trainer.callback_metrics[self._monitor])
        is_unpromising = trainer.is_global_zero and reporter().report(score, step)
        if as_rank_zero(trainer, is_unpromising):
            raise PrunedError(f"pruned after epoch {trainer.current_epoch + 1}: {self._monitor} {score:.6g}")
