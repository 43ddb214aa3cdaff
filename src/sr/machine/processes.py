"""The role of this process: a worker of a parallel sweep, or one rank of a distributed run."""

import multiprocessing


def in_worker() -> bool:
    """Whether this process is one of several workers that run the cells of a sweep (``hydra/launcher=joblib``)."""
    return multiprocessing.parent_process() is not None


def is_rank_zero() -> bool:
    """Whether this process is the first, or the only one, of those that train a run."""
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) == 0  # an attribute that Lightning sets
