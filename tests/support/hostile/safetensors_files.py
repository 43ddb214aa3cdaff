"""Hostile ``*.safetensors`` files: false headers, nested JSON, foreign targets."""

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tests.support.hostile.checkpoints import MODEL, Payload, checkpoint, serialized, weights, weights_with


def safetensors_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files."""
    config = checkpoint()["sr"]

    def with_header(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return (len(text) if length is None else length).to_bytes(8, "little") + text + data

    def file_of(config: Any, state: dict[str, torch.Tensor] | None = None) -> bytes:
        text = config if isinstance(config, str) else json.dumps(config)
        return safetensors.torch.save(weights() if state is None else state, {"sr": text})

    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    intact = file_of(config)
    yield "header of 2^60 bytes", with_header({}, length=2**60)
    yield "header of 90 MB", with_header(b"{" + b" " * 90_000_000 + b"}")
    yield "header cut off", intact[:50]
    yield "tensors cut off", intact[:-10]
    yield "bytes too many", intact + b"more"
    yield "empty", b""
    yield "text", b"hello" * 100
    yield "torch file of that name", serialized(checkpoint())
    yield "pickle of that name", pickle.dumps(Payload(os.system, f"touch {marker}"))
    yield (
        "tensor of a terabyte",
        with_header({"net.x": {**entry, "shape": [2**38], "data_offsets": [0, 2**40]}}, bytes(16)),
    )
    yield "tensor whose size overflows", with_header({"net.x": {**entry, "shape": [2**32, 2**32, 4]}}, bytes(16))
    yield "tensors that overlap", with_header({"net.x": entry, "net.y": entry}, bytes(16))
    yield "tensor with a hole before it", with_header({"net.x": {**entry, "data_offsets": [4, 20]}}, bytes(20))
    yield "negative offsets", with_header({"net.x": {**entry, "data_offsets": [-16, 0]}}, bytes(16))
    yield "unknown type", with_header({"net.x": {**entry, "dtype": "OBJECT"}}, bytes(16))
    yield "config that is no JSON", file_of("{")
    yield "config nested without end", file_of("[" * 10**5)
    yield "config with a number of a million digits", file_of('{"model": ' + "9" * 10**5 + "}")
    yield "target os.system", file_of({**config, "model": {"_target_": "os.system", "command": f"touch {marker}"}})
    yield "channels = Infinity", file_of({**config, "model": {**MODEL, "channels": float("inf")}})
    yield "channels = 10^9", file_of({**config, "model": {**MODEL, "channels": 10**9}})
    yield "no config", safetensors.torch.save(weights())
    yield "weights not a number", file_of(config, weights_with("tail.bias", torch.zeros(12) / 0))
    yield "weights of 8 bits", file_of(config, weights_with("tail.bias", torch.zeros(12).to(torch.float8_e4m3fn)))
    yield "weights integer", file_of(config, weights_with("tail.bias", torch.zeros(12, dtype=torch.int64)))
