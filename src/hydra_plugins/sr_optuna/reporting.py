"""What a job may know of its trial; imports Optuna only inside one."""

import os
from typing import Protocol


class Reporter(Protocol):
    """Takes intermediate values."""

    def report(self, value: float, step: int) -> bool:
        """Report a value at a step; whether the pruner would stop here."""


def in_trial() -> bool:
    """Whether this process runs a trial of a search."""
    return "OPTUNA_PLACE" in os.environ


def reporter() -> Reporter:
    """The link to the study of the running trial."""
    from hydra_plugins.sr_optuna._job import Reporter

    return Reporter()
