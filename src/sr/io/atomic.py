"""Files that are written whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: Path, keep: Path | None = None) -> Iterator[IO[bytes]]:
    """Open a file to be written whole or not at all: under a temporary name next to it, synced, then renamed.

    A file that was there is replaced, or moved to ``keep``; a kill between the two leaves it at ``keep`` alone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep and path.is_file():
            path.replace(keep)
        temporary.replace(path)
    except BaseException:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename outlive a loss of power, where the system lets folders be synced."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Remove what killed processes left behind of files that they were writing; nobody else may be writing there."""
    for path in folder.glob(f".{name}.*.tmp"):
        path.unlink(missing_ok=True)


def is_full_disk(error: BaseException) -> bool:
    """Whether there was no space left to write to."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, in UTF-8."""
    with whole_file(path) as file:
        file.write(text.encode())
