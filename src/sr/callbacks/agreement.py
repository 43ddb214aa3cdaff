"""Decisions that the processes of one run take together: one that ended alone would leave the others waiting."""

from lightning import Trainer

_EVERY = 10  # steps; each agreement costs a message between the processes


def is_due(trainer: Trainer) -> bool:
    """Whether the processes agree after this step; a single process does so after every step."""
    return trainer.world_size == 1 or trainer.global_step % _EVERY == 0


def any_process(trainer: Trainer, wants: bool) -> bool:
    """Whether this or another process of the run wants something; all of them have to ask at the same time."""
    return bool(trainer.strategy.reduce_boolean_decision(wants, all=False))


def as_rank_zero(trainer: Trainer, wants: bool) -> bool:
    """What rank 0 wants; all processes have to ask at the same time."""
    return bool(trainer.strategy.broadcast(wants))
