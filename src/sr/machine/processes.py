"""Which process this is."""

import multiprocessing


def in_worker() -> bool:
    """Whether this process runs cells for another one, beside others (``hydra/launcher=joblib``)."""
    return multiprocessing.parent_process() is not None
