"""Locks that end with the process that holds them, however it ends: who trains a run, who fills a cache."""

from pathlib import Path

from hydra_plugins.sr_optuna.filelocks import hold  # the sweeper, which needs it too, knows nothing of sr

__all__ = ["hold", "is_held"]


def is_held(path: Path) -> bool:
    """Whether a process holds the lock; one that may not be asked about is believed to be held."""
    if not path.is_file():
        return False
    try:
        with hold(path, 0) as free:
            return not free
    except OSError:
        return True
