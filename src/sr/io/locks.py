"""File locks for run folders and caches, released when their process ends for any reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_POLL = 0.1  # seconds


@contextmanager
def hold(path: Path, wait: float = -1) -> Iterator[bool]:
    """Hold a lock inside a ``with`` block; yields whether it was acquired.

    The lock file is empty and stays; the operating system keeps track of its holder, and child processes do not
    inherit the lock.

    Args:
        path: lock file, in an existing folder.
        wait: timeout in seconds; -1 waits forever.
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
    """Whether a process holds the lock; also true if it cannot be opened."""
    if not path.is_file():
        return False
    try:
        with hold(path, 0) as acquired:
            return not acquired
    except OSError:
        return True
