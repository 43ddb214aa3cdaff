"""Which epoch is the best so far."""

from lightning import Trainer

from sr.errors import UserError


class BestScore:
    """The best value so far of a logged score, by which `RunCheckpoints` chooses too."""

    def __init__(self, monitor: str, mode: str) -> None:
        """Follow ``monitor``, whose best is its ``max`` or ``min``.

        Raises:
            UserError: for another mode.
        """
        if mode not in ("max", "min"):
            raise UserError(f"callbacks: mode must be max or min, got {mode!r}")
        self.monitor, self.mode = monitor, mode
        self.value: float | None = None

    def improved(self, trainer: Trainer) -> bool:
        """Whether this epoch's score is better than all before it; asked once an epoch."""
        current = trainer.callback_metrics.get(self.monitor)
        if current is None:
            return False
        score = float(current) if self.mode == "max" else -float(current)
        better = self.value is None or score > self.value
        if better:
            self.value = score
        return better
