"""Locks that end with the process that holds them, however it ends: who trains a run, who fills a cache."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_POLL = 0.1  # seconds


@contextmanager
def hold(path: Path, wait: float = -1) -> Iterator[bool]:
    """Hold the lock ``path`` inside a ``with`` block, which is told whether it was free within ``wait`` seconds.

    The file stays, and is empty: the operating system knows who holds it, and no child of a process inherits it.

    Args:
        path: of the lock file, in a folder that exists.
        wait: seconds; -1 waits for ever.
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


def is_held(path: Path) -> bool:
    """Whether a process holds the lock; one that may not be asked about is believed to be held."""
    if not path.is_file():
        return False
    try:
        with hold(path, 0) as free:
            return not free
    except OSError:
        return True
