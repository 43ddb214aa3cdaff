"""Values for the loggers, at once."""

from collections.abc import Mapping

from lightning import Trainer


def log_now(trainer: Trainer, values: Mapping[str, float], step: int) -> None:
    """Hand values to the loggers of a trainer.

    Lightning's own ``log`` writes them after the callbacks of a step or of an epoch: a kill between a checkpoint, which
    one of these writes, and that moment would leave a hole in the curves.
    """
    for logger in trainer.loggers:
        logger.log_metrics({"epoch": trainer.current_epoch, **values}, step)
