"""Read files of `torch.save` before torch 1.6, as untrusted as newer ones: pickles, then the storages one by one."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sr.weights.reading.pickles import MAX_PICKLE_BYTES, Storage, unpickle

_MAGIC = 0x1950A86A20F9469CFC6C
_START = b"\x80\x02\x8a\x0a" + _MAGIC.to_bytes(10, "little") + b"."  # that number, pickled
_VERSION = 1001
_COUNT_BYTES = 8  # of the number of elements, before each storage


def is_legacy(path: Path) -> bool:
    """Whether a file begins as torch wrote it before 1.6."""
    with path.open("rb") as file:
        return file.read(len(_START)) == _START


def read_legacy(path: Path) -> Any:
    """Read the contents of a file: numbers, strings, lists, tuples, dicts, and tensors on the CPU.

    Raises:
        ValueError: if the file contains anything else, or is incomplete.
    """
    size = path.stat().st_size
    loaded: dict[str, tuple[Storage, Tensor]] = {}
    needed = 0

    def allocate(storage: Storage) -> Tensor:
        """Memory that is filled once its place in the file is known; never more than the file has."""
        nonlocal needed
        if storage.key not in loaded:
            needed += storage.numel * storage.dtype.itemsize
            if needed > size:
                raise ValueError("its storages claim more bytes than the file has")
            loaded[storage.key] = storage, torch.zeros(storage.numel, dtype=storage.dtype)
        if loaded[storage.key][0] != storage:
            raise ValueError("a storage has two descriptions")
        return loaded[storage.key][1]

    with path.open("rb") as file:
        head = io.BytesIO(file.read(MAX_PICKLE_BYTES))
        head.seek(len(_START))
        if unpickle(head, allocate) != _VERSION:
            raise ValueError("it has an unknown version")
        machine = unpickle(head, allocate)
        if not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise ValueError("it was written on a machine with a different byte order")
        contents = unpickle(head, allocate)
        keys = unpickle(head, allocate)
        if (
            not isinstance(keys, list)
            or not all(isinstance(key, str) for key in keys)
            or sorted(loaded) != sorted(keys)
        ):
            raise ValueError("its storages differ from their list")
        file.seek(head.tell())
        for key in keys:
            storage, values = loaded[key]
            if int.from_bytes(file.read(_COUNT_BYTES), "little") != storage.numel:
                raise ValueError("the size of a storage differs from its description")
            content: Any = values.view(torch.uint8).numpy()
            if file.readinto(content) != content.nbytes:
                raise ValueError("it is truncated")
    return contents
