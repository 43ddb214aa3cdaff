"""A lock on a file that ends with the process that holds it, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_POLL = 0.1  # seconds


@contextmanager
def hold(path: Path, wait: float = -1) -> Iterator[bool]:
    """Hold the lock ``path`` inside a ``with`` block, which is told whether it was free within ``wait`` seconds.

    The file stays, and says nothing: the operating system knows who holds it, and no child of a process inherits it.

    Args:
        path: of the lock file, in a folder that exists.
        wait: -1 for ever.
    """
    lock = FileLock(path, timeout=wait)
    try:
        lock.acquire(poll_interval=_POLL)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
