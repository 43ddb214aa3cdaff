"""Files and tables, written whole or not at all."""

import csv
import errno
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def whole_file(path: Path, keep: Path | None = None) -> Iterator[IO[bytes]]:
    """Open a file to be written whole or not at all: under a temporary name beside it, synced, then renamed.

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


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write a CSV file whole; without ``columns`` they are those of the rows, in order of appearance."""
    text = io.StringIO()
    columns = columns or list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file, a dict a row; empty cells are empty strings."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of texts as lines whose columns stand under each other.

    >>> aligned([("a", "bb"), ("ccc", "")])
    ['a    bb', 'ccc']
    """
    widths = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
