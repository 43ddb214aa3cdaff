"""What the decoders of untrusted files share: bounded reading, and the error of a kind that is not read."""

import os
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]  # uint8 or uint16

_SLACK = 1 << 16  # bytes


class UnreadKindError(Exception):
    """An intact image of a kind that is not read; the message says which, and what to do."""


class BoundedReader:
    """A file that fails once twice as much was read from it as it is long, and a little more."""

    def __init__(self, file: IO[bytes]) -> None:
        """Start at the beginning of a file."""
        self._file = file
        self._left: float = 2 * file.seek(0, os.SEEK_END) + _SLACK
        file.seek(0)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the file's."""
        return getattr(self._file, name)

    def lift(self) -> None:
        """Read without a bound from now on."""
        self._left = float("inf")

    def read(self, size: int = -1) -> bytes:
        """Read as the file does.

        Raises:
            OSError: if it was too much.
        """
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("its tags claim more than the file holds")
        return data
