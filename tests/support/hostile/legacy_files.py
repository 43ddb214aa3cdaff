"""Hostile files as torch wrote them before 1.6: pickles, then storages."""

import io
import os
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.hostile.checkpoints import Payload, checkpoint, serialized
from tests.support.hostile.pickles import tensor_pickle

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_MACHINE = {"protocol_version": _VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
_DATA = struct.pack("<4f", *range(4))


def legacy(
    contents: bytes,
    keys: Any = ("0",),
    *,
    version: Any = _VERSION,
    machine: Any = _MACHINE,
    count: int = 4,
    data: bytes = _DATA,
) -> bytes:
    """A file with any pickle in it, and one storage."""
    parts = [pickle.dumps(value, 2) for value in (_MAGIC, version, machine)]
    listed = keys if isinstance(keys, bytes) else pickle.dumps(list(keys), 2)
    return b"".join([*parts, contents, listed, struct.pack("<q", count), data])


def legacy_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files."""
    command = Payload(os.system, f"touch {marker}")
    intact = tensor_pickle(4, 4, 1)
    yield "old: payload", legacy(pickle.dumps(command, 2))
    yield "old: payload as list of storages", legacy(intact, pickle.dumps(command, 2))
    yield "old: payload as version", legacy(intact, version=command)
    yield "old: payload as machine", legacy(intact, machine=command)
    yield "old: another version", legacy(intact, version=1002)
    yield "old: another byte order", legacy(intact, machine={**_MACHINE, "little_endian": False})
    yield "old: storage of a terabyte", legacy(tensor_pickle(2**38, 4, 1))
    yield "old: negative storage", legacy(tensor_pickle(-4, 4, 1))
    yield "old: tensor larger than its storage", legacy(tensor_pickle(4, 2**30, 1))
    yield "old: tensor of one value shown 2^30 times", legacy(tensor_pickle(4, 2**30, 0))
    yield "old: tensor behind its storage", legacy(tensor_pickle(4, 4, 1, 2**40))
    yield "old: storage of another size than said", legacy(intact, count=3)
    yield "old: storage that is not listed", legacy(intact, [])
    yield "old: storage that is listed twice", legacy(intact, ["0", "0"])
    yield "old: storages listed by number", legacy(intact, [0])
    yield "old: list of storages that is none", legacy(intact, pickle.dumps({"0": 1}, 2))
    yield "old: list in a list, a million times", legacy(intact, b"\x80\x02" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".")
    yield "old: cut off in a storage", legacy(intact, data=_DATA[:-1])
    file = io.BytesIO(serialized(checkpoint(), _use_new_zipfile_serialization=False))
    yield "old: cut off in a pickle", file.getvalue()[:400]
    yield "old: only the start", file.getvalue()[:14]
