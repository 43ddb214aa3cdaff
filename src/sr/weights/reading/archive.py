"""Read untrusted files of `torch.save` without running code from them or using more memory than their size.

``torch.load(weights_only=True)`` runs no foreign code either, but calls ``bytearray`` and tensor classes with any size
and hashes any key: a crafted file can exhaust memory, run forever, or crash the process (nested tuples).
"""

import io
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sr.weights.reading.legacy import is_legacy, read_legacy
from sr.weights.reading.pickles import MAX_PICKLE_BYTES, Storage, unpickle


def read_archive(path: Path) -> Any:
    """Read the contents of a file: numbers, strings, lists, tuples, dicts, and tensors on the CPU.

    Raises:
        ValueError: if the file contains anything else, or is incomplete.
        zipfile.BadZipFile: if it is not a zip archive, or a checksum is wrong.
    """
    if is_legacy(path):
        return read_legacy(path)
    with _opened(path) as archive:
        names = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("it was not written by torch.save")
        if archive.getinfo(names[0]).file_size > MAX_PICKLE_BYTES:
            raise ValueError("its values other than tensors are too large")
        folder = names[0].removesuffix("data.pkl")
        byte_order = f"{folder}byteorder"
        if byte_order in archive.namelist() and archive.read(byte_order) != sys.byteorder.encode():
            raise ValueError("it was written on a machine with a different byte order")
        loaded: dict[Storage, Tensor] = {}

        def load_storage(storage: Storage) -> Tensor:
            if storage not in loaded:
                info = archive.getinfo(f"{folder}data/{storage.key}")
                if info.file_size != storage.numel * storage.dtype.itemsize:
                    raise ValueError("the size of a storage differs from its description")
                content = bytearray(archive.read(info))
                empty = torch.empty(0, dtype=storage.dtype)
                loaded[storage] = torch.frombuffer(content, dtype=storage.dtype) if content else empty
            return loaded[storage]

        return unpickle(io.BytesIO(archive.read(names[0])), load_storage)


def check_archive(path: Path) -> None:
    """Verify all checksums, which torch does not do.

    Raises:
        ValueError: if a checksum is wrong, or torch cannot have written the file.
        zipfile.BadZipFile: if it is not a zip archive.
    """
    with _opened(path) as archive:
        damaged_part = archive.testzip()
    if damaged_part is not None:
        raise ValueError(f"the checksum of {damaged_part} is wrong")


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.filename.partition("/")[2].startswith("code/") for entry in entries):
            raise ValueError("it is a TorchScript program, which is code: ask for its state dict")
        if any(
            entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size for entry in entries
        ):
            raise ValueError("it is compressed, which torch.save never does")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("its parts claim more bytes than the file has")
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError("two of its parts have the same name")
        yield archive
