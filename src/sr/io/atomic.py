"""Atomic writes: a file is written completely or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sr.errors import UserError


@contextmanager
def whole_file(path: Path, keep: Path | None = None) -> Iterator[IO[bytes]]:
    """Open a file for an atomic write, readable meanwhile: under a temporary name next to it, then synced and renamed.

    An existing file is replaced, or first moved to ``keep``; a kill between the two leaves only the one at ``keep``.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w+b") as file:
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
    """Make a rename survive a power failure, if the system can sync folders."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path, name: str = "*") -> None:
    """Remove temporary files of killed processes; no other process may be writing to the folder."""
    for path in folder.glob(f".{name}.*.tmp"):
        path.unlink(missing_ok=True)


def is_full_disk(error: BaseException) -> bool:
    """Whether the disk, or the quota, was full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def reporting_unwritable(path: Path) -> Iterator[None]:
    """Turn the error of a file that cannot be written into one line for the user.

    Args:
        path: what to name if the error names no file.

    Raises:
        UserError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be written ({error.strerror})") from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with whole_file(path) as file:
        file.write(text.encode())
