"""Small networks of others with random weights, and what spandrel computes with them."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, nn

needs_spandrel = pytest.mark.skipif(find_spec("spandrel") is None, reason="needs pip install --no-deps spandrel einops")


def _compact() -> nn.Module:
    from spandrel.architectures.Compact import Compact

    net: nn.Module = Compact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2)
    return net


def _span() -> nn.Module:
    from spandrel.architectures.SPAN import SPAN

    net: nn.Module = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=3)
    return net


def _esrgan() -> nn.Module:
    from spandrel.architectures.ESRGAN import ESRGAN

    net: nn.Module = ESRGAN(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=4)
    return net


NETWORKS: dict[str, Callable[[], nn.Module]] = {"compact": _compact, "span": _span, "esrgan": _esrgan}


def built(name: str) -> nn.Module:
    """A network of `NETWORKS` with seeded random weights, in evaluation mode."""
    spandrel()
    torch.manual_seed(0)
    return NETWORKS[name]().eval()


def spandrel() -> Any:
    """The package spandrel, imported as sr does."""
    from sr.architectures import import_spandrel

    return import_spandrel()


def spandrel_output(state: dict[str, Tensor], lr: Tensor) -> Tensor:
    """What spandrel makes of an image with a bare state dict: the reference."""
    out: Tensor = spandrel().MAIN_REGISTRY.load(dict(state)).eval()(lr)
    return out


def edsr_state(num_blocks: int, factors: tuple[int, ...], channels: int = 64) -> dict[str, Tensor]:
    """Random weights of EDSR by the names of BasicSR."""
    shapes = {"conv_first": (channels, 3), "conv_after_body": (channels, channels), "conv_last": (3, channels)}
    for block in range(num_blocks):
        shapes |= {f"body.{block}.conv{number}": (channels, channels) for number in (1, 2)}
    shapes |= {f"upsample.{2 * at}": (channels * factor**2, channels) for at, factor in enumerate(factors)}
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, (outputs, inputs) in shapes.items():
        state[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) / (9 * inputs) ** 0.5
        state[f"{name}.bias"] = 20 * torch.randn(outputs, generator=generator)
    return state
