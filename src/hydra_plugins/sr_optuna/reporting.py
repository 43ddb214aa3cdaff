"""How a job reports to its trial. Optuna is imported only inside a trial."""

import os
from typing import Protocol


class Reporter(Protocol):
    """Receives intermediate values."""

    def report(self, value: float, step: int) -> bool:
        """Report a value at a step; returns whether to prune the trial."""


def in_trial() -> bool:
    """Whether this process runs a trial of a search."""
    return "OPTUNA_PLACE" in os.environ


def reporter() -> Reporter:
    """A reporter for the running trial."""
    from hydra_plugins.sr_optuna._job import Reporter

    return Reporter()
