"""Content hashes of files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_hash(paths: Sequence[Path]) -> str:
    """A hash of the contents of several files, in their order."""
    return hashlib.sha256("".join(map(file_hash, paths)).encode()).hexdigest()
