"""Which process this is: a worker of a parallel sweep, or one of several that train one run."""

import multiprocessing


def in_worker() -> bool:
    """Whether this process runs cells for another one, beside others (``hydra/launcher=joblib``)."""
    return multiprocessing.parent_process() is not None


def is_rank_zero() -> bool:
    """Whether this process is the first, or the only one, of those that train a run."""
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) == 0  # Lightning keeps the rank as an attribute of its function
