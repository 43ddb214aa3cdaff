"""Hostile ``*.pth`` files: state dicts without a config, from which spandrel guesses a network."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.support.community import built
from tests.support.hostile.checkpoints import Payload, archive, serialized

State = dict[str, Any]


def community_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files; needs spandrel."""
    yield from _nested(marker)
    for name, state in (*_strange_values(), *_strange_names(), *_false_shapes(), *_huge_networks(), *_other_uses()):
        yield name, serialized({"params_ema": state})


def _nested(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Objects and nesting around the weights."""
    payload = Payload(os.system, f"touch {marker}")
    compact = built("compact")
    for place in ("params_ema", "params", "state_dict", "model"):
        yield f"payload under {place}", serialized({place: {**compact.state_dict(), "more": payload}})
        yield f"payload as {place}", serialized({place: payload})
    yield "payload beside the weights", serialized({"params": compact.state_dict(), "optimizer": payload})
    yield "payload as a name", serialized({"params": {payload: torch.zeros(1)}})
    yield "a network under model", serialized({"model": compact})
    yield "weights under a list", serialized({"params": [compact.state_dict()]})
    yield "places in places", archive(b"\x80\x02" + b"}X\x06\0\0\0params" * 10**5 + b"}" + b"s" * 10**5 + b".")
    itself = b"\x80\x02}q\x00X\x06\0\0\0paramsh\x00s."
    yield "a place that holds itself", archive(itself)
    program = archive(pickle.dumps({"params": {}}, 2)).replace(b"a/version", b"code/ab.py")
    yield "TorchScript program", program


def _compact(**changes: Any) -> State:
    return {**built("compact").state_dict(), **changes}


def _strange_values() -> Iterator[tuple[str, State]]:
    """Weights that are no finite numbers of their own."""
    kernel = built("compact").state_dict()["body.0.weight"]
    name = "body.0.weight"
    for text, value in {
        "not a number": kernel / 0,
        "complex": kernel.to(torch.complex64),
        "text": "kernel",
        "a list": kernel.tolist(),
        "a dict": {"weight": kernel},
        "in a larger storage": torch.zeros(10**6)[: kernel.numel()].view(kernel.shape),
        "expanded": torch.zeros(1).expand(2**26),
        "without rows": torch.zeros(0, 2**40),
        "without columns": torch.zeros(2**40, 0),
        "a number": torch.tensor(1.0),
        "integers": kernel.long(),
        "bits": kernel > 0,
    }.items():
        yield f"weights {text}", _compact(**{name: value})
    yield "no weights", {}
    yield "zero-dimensional weights", {key: torch.tensor(1.0) for key in built("compact").state_dict()}


def _strange_names() -> Iterator[tuple[str, State]]:
    """Names that spandrel counts up to, or that fill a screen."""
    one = torch.ones(1)
    for name in (
        "body.99999999999.weight",
        "body.1e9.weight",
        "body.-1.weight",
        "body.٣.weight",
        "a" * 10**5,
        "",
        "a\nb",
    ):
        yield f"weights named {name[:24]!r}", _compact(**{name: one})
    yield "block 9998", _compact(**{"body.9998.weight": one, "body.9998.bias": torch.ones(12)})
    yield (
        "30,000 names",
        _compact(**{f"more.{number % 9999}.{'x' * (number // 9999)}": one for number in range(30_000)}),
    )
    esrgan = built("esrgan").state_dict()
    yield (
        "enlarging by 2^3331",
        {**esrgan, "model.9999.weight": torch.ones(3, 8, 3, 3), "model.9999.bias": torch.ones(3)},
    )
    yield "enlarging by 2^9999 in words", {**esrgan, "model.99999.weight": torch.ones(3, 8, 3, 3)}


def _false_shapes() -> Iterator[tuple[str, State]]:
    """Shapes from which far larger ones are derived."""
    yield "a million features", _compact(**{"body.0.weight": torch.ones(10**6, 3, 1, 1)})
    yield "a million input channels", _compact(**{"body.0.weight": torch.ones(1, 10**6, 1, 1)})
    yield "scale 1000", _compact(**{"body.6.bias": torch.ones(3 * 10**6), "body.6.weight": torch.ones(1)})
    yield "no scale", _compact(**{"body.6.bias": torch.ones(7)})
    yield "kernel of one dimension", _compact(**{"body.0.weight": torch.ones(8)})
    span = built("span").state_dict()
    yield "SPAN of 100,000 features", {**span, "conv_1.sk.weight": torch.ones(10**5, 3, 1, 1)}
    yield "SPAN of scale 500", {**span, "upsampler.0.weight": torch.ones(3 * 500**2, 1, 1, 1)}
    esrgan = built("esrgan").state_dict()
    yield "ESRGAN of 200,000 features", {**esrgan, "model.0.weight": torch.ones(2 * 10**5, 3, 1, 1)}
    yield "ESRGAN without its last layer", {name: value for name, value in esrgan.items() if "model.8" not in name}


def _huge_networks() -> Iterator[tuple[str, State]]:
    """Small files that describe large networks."""
    kernel, slopes = torch.ones(64, 64, 3, 3), torch.ones(64)
    state: dict[str, Tensor] = {
        "body.0.weight": torch.ones(64, 3, 3, 3),
        "body.0.bias": slopes,
        "body.1.weight": slopes,
    }
    for layer in range(1, 2000):
        state |= {f"body.{2 * layer}.weight": kernel, f"body.{2 * layer}.bias": slopes}
        state |= {f"body.{2 * layer + 1}.weight": slopes}
    state |= {"body.4000.weight": torch.ones(12, 64, 3, 3), "body.4000.bias": torch.ones(12)}
    yield "one kernel shown as 2,000", state
    yield "SwinIR with windows of 150 pixels", _swinir(150)
    yield "SwinIR with windows of 1000 pixels", _swinir(1000)


def _swinir(window: int) -> State:
    """The weights that spandrel derives a SwinIR from; its table of positions has ``window**4`` entries."""
    block = "layers.0.residual_group.blocks.0"
    wide = torch.ones(4)
    state: State = {"conv_first.weight": torch.ones(4, 3, 3, 3), "conv_first.bias": wide, "norm.weight": wide}
    state |= {f"{block}.norm1.weight": wide, f"{block}.mlp.fc1.bias": wide, f"{block}.mlp.fc1.weight": torch.ones(4, 4)}
    state[f"{block}.attn.relative_position_bias_table"] = torch.ones((2 * window - 1) ** 2, 1)
    state[f"{block}.attn.relative_position_index"] = torch.ones(window**2, 1).long()
    state |= {"layers.0.conv.weight": torch.ones(4, 4, 3, 3), "conv_last.weight": torch.ones(3, 4, 3, 3)}
    return state | {"upsample.0.weight": torch.ones(12, 4, 3, 3), "upsample.0.bias": torch.ones(12)}


def _other_uses() -> Iterator[tuple[str, State]]:
    yield (
        "a network that fills holes",
        {name: torch.zeros(2) for name in ("model.model.1.bn_l.running_mean", "generator.model.1.bn_l.running_mean")},
    )
    yield "a network that nobody knows", {"a.weight": torch.ones(3, 3), "b.bias": torch.ones(3)}
