"""The role of this process: a worker of a parallel sweep, or one rank of a distributed run."""

import multiprocessing
import os


def in_worker() -> bool:
    """Whether this process is one of several workers that run the cells of a sweep (``hydra/launcher=joblib``)."""
    return multiprocessing.parent_process() is not None


def workers_of_sweep() -> int:
    """How many workers run the cells of the sweep that this process works for; 1 if it is no worker."""
    if not in_worker():
        return 1
    from hydra.core.hydra_config import HydraConfig

    jobs = HydraConfig.get().launcher.get("n_jobs", 1) if HydraConfig.initialized() else 1
    return max(1, jobs if jobs > 0 else (os.cpu_count() or 1) + 1 + jobs)  # as joblib counts


def is_rank_zero() -> bool:
    """Whether this process is the first, or the only one, of those that train a run."""
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) == 0  # an attribute that Lightning sets
