"""Checkpoints that can be loaded, and building blocks of hostile ones."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import torch

from sr.nets.espcn import ESPCN

MODEL = {"_target_": "sr.nets.espcn.ESPCN", "scale": 2, "channels": 8}


class Payload:
    """Calls a function when it is unpickled."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call, self.arguments


def weights() -> dict[str, torch.Tensor]:
    """Weights of a small network, named as in a checkpoint."""
    torch.manual_seed(0)
    return {f"net.{name}": value for name, value in ESPCN(scale=2, channels=8).state_dict().items()}


def weights_with(name: str, value: Any) -> dict[str, Any]:
    """The weights with one of them replaced or added."""
    return {**weights(), f"net.{name}": value}


def checkpoint(model: Any = MODEL, state: Any = None, **changes: Any) -> dict[str, Any]:
    """The content of a checkpoint, which can be loaded unless the changes to its config prevent it."""
    config = {"model": model, "scale": 2, "protocol": "rgb", "scales": [2], **changes}
    return {"sr": config, "state_dict": weights() if state is None else state}


def serialized(content: Any, **options: Any) -> bytes:
    """The bytes that `torch.save` writes."""
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def archive(pickled: bytes, storages: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip like those of torch, with any pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zip_file:
        zip_file.writestr("a/data.pkl", pickled)
        zip_file.writestr("a/byteorder", "little")
        zip_file.writestr("a/version", "3\n")
        for key, data in (storages or {}).items():
            zip_file.writestr(f"a/data/{key}", data)
    return file.getvalue()


def repacked(content: bytes, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A copy of a zip with changed or compressed members."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(file, "w", compression) as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
    return file.getvalue()


def long(value: int) -> bytes:
    """The pickle opcode that pushes an integer of up to 64 bits."""
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)
