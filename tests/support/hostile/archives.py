"""Hostile ``*.ckpt`` files: zip bombs, damaged and inconsistent archives, and files of other formats."""

import pickle
import struct
import zipfile
from collections.abc import Iterator

from tests.support.hostile.checkpoints import archive, checkpoint, repacked, serialized, weights
from tests.support.hostile.pickles import tensor_pickle

_GB = 2**30
_CENTRAL = b"PK\x01\x02"  # starts an entry of a zip's directory


def lying_archives() -> Iterator[tuple[str, bytes]]:
    """Zips whose members are compressed, overlap, repeat or lie about their size."""
    intact = serialized(checkpoint())
    yield "compressed", repacked(intact, lambda _, data: data, zipfile.ZIP_DEFLATED)
    zeros = {"0": bytes(_GB)}
    yield "zip bomb", archive(tensor_pickle(_GB // 4, _GB // 4, 1), zeros, zipfile.ZIP_DEFLATED)
    at = intact.rindex(_CENTRAL)
    yield "part that claims 3 GB", intact[: at + 20] + struct.pack("<II", 3 * _GB, 3 * _GB) + intact[at + 28 :]
    two_parts = archive(pickle.dumps({}, 2), {"0": bytes(9), "1": bytes(9)})
    yield "two parts of one name", two_parts.replace(b"data/1", b"data/0")
    overlapping = bytearray(intact)
    for entry in [at for at in range(len(intact)) if intact.startswith(_CENTRAL, at)]:
        overlapping[entry + 42 : entry + 46] = struct.pack("<I", 0)
    yield "parts that overlap", bytes(overlapping)
    yield "the other byte order", repacked(intact, lambda name, data: b"big" if name.endswith("byteorder") else data)


def damaged_files() -> Iterator[tuple[str, bytes]]:
    """Damaged checkpoints, and files that are not checkpoints at all."""
    intact = serialized(checkpoint())
    flipped = bytearray(intact)
    flipped[intact.index(weights()["net.body.0.weight"].numpy().tobytes()) + 5] ^= 4
    yield "flipped bit in the weights", bytes(flipped)
    yield "cut off", intact[: len(intact) // 2]
    yield "last byte missing", intact[:-1]
    yield "empty", b""
    yield "text", b"hello\n" * 50
    yield "random bytes", bytes((at * 7919) % 251 for at in range(5000))
    yield "png", b"\x89PNG\r\n\x1a\n" + bytes(500)
    yield "zip of something else", archive(b"")
