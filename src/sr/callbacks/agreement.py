"""What the processes of a run do together, such as decisions: one that stops alone leaves the others waiting."""

from typing import TypeVar

import torch
from lightning import Trainer

T = TypeVar("T")

_EVERY = 10  # steps; every agreement is a collective operation


def is_due(trainer: Trainer) -> bool:
    """Whether this step ends with an agreement: every tenth step, or every step in a single process."""
    return trainer.world_size == 1 or trainer.global_step % _EVERY == 0


def any_process(trainer: Trainer, condition: bool) -> bool:
    """Whether the condition holds in any process of the run; a collective call, which every process has to make."""
    if trainer.world_size == 1:  # Lightning's strategies for several wait for the GPU even so
        return condition
    return bool(trainer.strategy.reduce_boolean_decision(condition, all=False))


def as_rank_zero(trainer: Trainer, decision: bool) -> bool:
    """The decision of rank 0; a collective call, which every process has to make."""
    return bool(trainer.strategy.broadcast(decision))


def from_all_processes(trainer: Trainer, value: T) -> list[T]:
    """The value of each process, by rank; a collective call, which every process has to make."""
    if trainer.world_size == 1:
        return [value]
    values: list[T] = [value] * trainer.world_size
    torch.distributed.all_gather_object(values, value)
    return values
