"""Learning rate schedules: factors of the optimizer's learning rate, updated at every training step."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from sr.errors import UserError


def constant(optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """Keep the learning rate constant; ``total_steps`` is not used."""
    return LambdaLR(optimizer, lambda step: 1.0)


def cosine(optimizer: Optimizer, total_steps: int, warmup: float = 0.05, final: float = 0.01) -> LambdaLR:
    """Warm up linearly, then decay along half a cosine (Loshchilov & Hutter 2017, without restarts).

    Args:
        optimizer: its learning rate is the peak.
        total_steps: training steps of the whole run.
        warmup: share of the run that warms up, 0 to 1.
        final: factor at the last step.

    Raises:
        UserError: if a share is outside [0, 1].
    """
    _check_share("warmup", warmup)
    _check_share("final", final)
    warmup_steps = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps))
        return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, factor)


def step(optimizer: Optimizer, total_steps: int, every: float = 0.25, factor: float = 0.1) -> LambdaLR:
    """Multiply the learning rate by ``factor`` after each share ``every`` of the run; default: VDSR's 20 of 80 epochs.

    Raises:
        UserError: if ``every`` is not in (0, 1].
    """
    if not 0 < every <= 1:
        raise UserError(f"scheduler: every must be a share of the run, above 0 and at most 1, got {every}")
    return LambdaLR(optimizer, lambda done: factor ** int(done / max(1, total_steps) / every))


def _check_share(option: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UserError(f"scheduler: {option} must be from 0 to 1, got {value}")
