"""Hostile ``*.ckpt`` files: weights that do not fit their network."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from sr.nets.espcn import ESPCN
from tests.support.hostile.checkpoints import checkpoint, serialized, weights, weights_with


def shared_kernel(layers: int = 1000) -> tuple[str, bytes]:
    """A VDSR whose thousand kernels share one tensor: a small file, a large network."""
    kernel = torch.ones(64, 64, 3, 3)
    state: dict[str, Tensor] = {}
    for layer in range(layers + 1):
        state[f"net.body.{2 * layer}.weight"] = torch.ones(64, 3, 3, 3) if layer == 0 else kernel
        state[f"net.body.{2 * layer}.bias"] = torch.ones(64)
    state |= {"net.tail.weight": torch.ones(3, 64, 3, 3), "net.tail.bias": torch.ones(3)}
    model = {"_target_": "sr.nets.vdsr.VDSR", "scale": 2, "num_blocks": layers}
    return "one kernel shown as 1,000", serialized(checkpoint(model, state))


def unfit_weights() -> Iterator[tuple[str, bytes]]:
    """Weights of another shape, type, layout or name, or without a network."""
    bias = torch.zeros(12)
    states: dict[str, Any] = {
        "weights too many": weights_with("tail.more", bias),
        "weights of no name": weights_with("", bias),
        "weights missing": {name: value for name, value in weights().items() if name != "net.tail.bias"},
        "weights that are a list": list(weights().values()),
    }
    for name, state in states.items():
        yield name, serialized(checkpoint(state=state))
    biases: dict[str, Any] = {
        "of another shape": torch.zeros(13),
        "without values": torch.zeros(0),
        "that are numbers": [0.0] * 12,
        "not a number": bias / 0,
        "infinite": bias + float("inf"),
        "complex": bias.to(torch.complex64),
        "integer": bias.long(),
        "boolean": bias.bool(),
        "of 8 bits": bias.to(torch.float8_e4m3fn),
        "sparse": bias.to_sparse(),
        "quantised": torch.quantize_per_tensor(bias, 0.1, 0, torch.qint8),
        "meta": bias.to("meta"),
        "nested": torch.nested.nested_tensor([bias]),
        "expanded": torch.zeros(1).expand(12),
        "of a gigabyte expanded": torch.zeros(1).expand(2**28),
        "in a larger storage": torch.zeros(10**6)[:12],
        "as a parameter": torch.nn.Parameter(bias),
        "of numpy": bias.numpy(),
    }
    for name, value in biases.items():
        yield f"weights {name}", serialized(checkpoint(state=weights_with("tail.bias", value)))
    yield "weights alone", serialized(weights())
    yield "a whole network", serialized(ESPCN(scale=2, channels=8))
