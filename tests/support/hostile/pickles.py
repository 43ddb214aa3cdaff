"""Hostile ``*.ckpt`` files: pickles that run programs or exhaust memory or time."""

import functools
import io
import os
import pickle
import struct
import tarfile
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.support.hostile.checkpoints import Payload, archive, checkpoint, long, serialized


def calling_pickles(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Pickles that run a program when they are loaded, in every format that torch has ever read."""
    command = f"touch {marker}"
    for name, payload in {
        "os.system": Payload(os.system, command),
        "eval": Payload(eval, f"__import__('os').system({command!r})"),
        "exec": Payload(exec, f"import os; os.system({command!r})"),
        "a function of functools": Payload(functools.partial, os.system, command),
        "torch.load": Payload(torch.load, str(marker)),
    }.items():
        yield f"pickle calls {name}", serialized({**checkpoint(), "more": payload})
    yield "pickle of protocol 5", serialized({**checkpoint(), "more": Payload(os.system, command)}, pickle_protocol=5)
    yield "plain pickle", pickle.dumps(Payload(os.system, command))
    legacy = serialized(Payload(os.system, command), _use_new_zipfile_serialization=False)
    yield "torch before 1.6, with a payload", legacy
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in ("storages", "tensors", "pickle"):
            data = pickle.dumps(Payload(os.system, command))
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    yield "tar of torch 0.1", file.getvalue()


def exhausting_pickles() -> Iterator[tuple[str, bytes]]:
    """Pickles whose values are huge, nested, colliding, or incomplete."""
    yield "bytearray of a terabyte", archive(b"\x80\x02cbuiltins\nbytearray\n" + long(2**40) + b"\x85R.")
    yield "tensor of a terabyte", archive(b"\x80\x02ctorch\nFloatTensor\n" + long(2**38) + b"\x85R.")
    yield "key of a million tuples", archive(b"\x80\x02}K\x01" + b"\x85" * 10**6 + b"K\x01s.")
    doubled = b"".join(b"q" + bytes([at]) + b"h" + bytes([at]) + b"\x86" for at in range(60))
    yield "key of 2^60 tuples", archive(b"\x80\x02}K\x01" + doubled + b"K\x01s.")
    model = b"X\x05\0\0\0model}X\x08\0\0\0_target_K\x01" + doubled
    state = b"X\x0a\0\0\0state_dict}s."
    yield "value of 2^60 tuples as target", archive(b"\x80\x02}X\x02\0\0\0sr}" + model + b"sss" + state)
    collide = b"".join(long(at * (2**61 - 1)) + b"K\0" for at in range(1, 4))
    yield "keys of one hash", archive(b"\x80\x02}(" + collide + b"u.")
    yield "place in a memo of 2^32", archive(b"\x80\x02}r\xff\xff\xff\xff.")
    yield "a list in a list, a million times", archive(b"\x80\x02" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".")
    yield "twenty million values", archive(b"\x80\x02(" + b"]" * 20_000_000 + b"t.")
    yield "text longer than the file", archive(b"\x80\x02X\xff\xff\xff\xffabc.")
    yield "pickle without an end", archive(b"\x80\x02}")
    yield "nothing on the stack", archive(b"\x80\x02R.")


def lying_tensors() -> Iterator[tuple[str, bytes]]:
    """Tensors that do not fit their storage."""
    data = struct.pack("<4f", *range(4))
    yield "storage larger than its part", archive(tensor_pickle(2**30, 2**30, 1), {"0": data})
    yield "tensor larger than its storage", archive(tensor_pickle(4, 2**30, 1), {"0": data})
    yield "tensor of one value shown 2^30 times", archive(tensor_pickle(4, 2**30, 0), {"0": data})
    yield "tensor behind its storage", archive(tensor_pickle(4, 4, 1, 2**40), {"0": data})
    yield "tensor before its storage", archive(tensor_pickle(4, 4, 1, -4), {"0": data})
    yield "negative size", archive(tensor_pickle(4, -4, 1), {"0": data})
    yield "storage that is missing", archive(tensor_pickle(4, 4, 1))


def tensor_pickle(numel: int, size: int, stride: int, offset: int = 0) -> bytes:
    """The pickle of a checkpoint with one tensor, whose storage claims to have ``numel`` values."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + long(numel) + b"tQ"
    arguments = storage + long(offset) + long(size) + b"\x85" + long(stride) + b"\x85\x89ccollections\nOrderedDict\n)R"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"
    config = pickle.dumps(checkpoint()["sr"], 2)[2:-1]
    state = text("state_dict") + b"}" + text("net.tail.bias") + tensor + b"ss."
    return b"\x80\x02}" + text("sr") + config + b"s" + state
