"""A file lock that is released when its process ends, even if the process is killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_POLL_SECONDS = 0.1


@contextmanager
def hold(path: Path, timeout: float = -1) -> Iterator[bool]:
    """Hold the lock on ``path`` inside a ``with`` block; yields whether it was acquired within ``timeout`` seconds.

    Afterwards the file remains, which does not mean that the lock is held: the operating system keeps track of that.
    Child processes do not inherit the lock.

    Args:
        path: the lock file, in an existing folder.
        timeout: -1 waits forever.
    """
    lock = FileLock(path, timeout=timeout)
    try:
        lock.acquire(poll_interval=_POLL_SECONDS)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
