"""Reports of a trial to its search."""

from lightning import Callback, LightningModule, Trainer

from hydra_plugins.sr_optuna.reporting import in_trial, reporter
from sr.callbacks.agreement import as_rank_zero
from sr.errors import PrunedError


class TrialReports(Callback):
    """Report each validation score to the search, and stop the trial if the pruner says so.

    Outside a search it does nothing. Epochs are numbered from 1 and continue through the seeds and folds: with ten
    epochs, the first of fold 1 is number 11, so that trials are only compared on the same images.
    """

    def __init__(self, monitor: str, trainings_before: int = 0) -> None:
        """Report the metric ``monitor`` of a training that so many trainings of its cell came before."""
        self._monitor = monitor
        self._trainings_before = trainings_before
        self._validated = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that there is a score to report."""
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
        step = self._trainings_before * max(trainer.max_epochs, 0) + trainer.current_epoch + 1
        score = float(trainer.callback_metrics[self._monitor])
        is_unpromising = trainer.is_global_zero and reporter().report(score, step)
        if as_rank_zero(trainer, is_unpromising):
            raise PrunedError(f"pruned after epoch {trainer.current_epoch + 1}: {self._monitor} {score:.6g}")
