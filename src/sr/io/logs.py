"""Log values without delay."""

from collections.abc import Mapping

from lightning import Trainer


def log_now(trainer: Trainer, values: Mapping[str, float], step: int) -> None:
    """Pass values to the loggers of a trainer immediately.

    Lightning's ``log`` writes them only after the callbacks of a step or an epoch. One of these saves the checkpoint,
    so that a kill between the two would leave a gap in the curves.
    """
    for logger in trainer.loggers:
        logger.log_metrics({"epoch": trainer.current_epoch, **values}, step)
