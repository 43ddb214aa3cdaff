"""Networks that others published give the same images from the same weights."""

from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sr.nets.compact import Compact
from sr.nets.span import SPAN
from tests.support.community import needs_spandrel, spandrel


def random_weights(net: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return net.eval().state_dict()


@needs_spandrel
@pytest.mark.parametrize(("num_conv", "scale"), [(16, 4), (3, 2)])
@torch.no_grad()
def test_compact_takes_the_weights_of_real_esrgan_by_their_names(num_conv: int, scale: int) -> None:
    spandrel()
    from spandrel.architectures.Compact import Compact as Theirs

    torch.manual_seed(0)
    theirs: Any = Theirs(num_in_ch=3, num_out_ch=3, num_feat=64, num_conv=num_conv, upscale=scale).eval()
    net = Compact(scale, num_blocks=num_conv).eval()
    net.load_state_dict(theirs.state_dict())  # strict: the same names and shapes, and no others
    lr = torch.rand(2, 3, 13, 10)
    torch.testing.assert_close(net(lr), theirs(lr), rtol=0, atol=1e-6)


_NAMES = {
    **{f"block_{number + 1}.c": f"blocks.{number}.conv" for number in range(6)},
    **{"_r.": ".", "conv_1.": "head.", "conv_2.": "after.", "conv_cat.": "merge.", "upsampler.0.": "tail."},
    **{".sk.": ".skip.", ".conv.0.": ".first.", ".conv.1.": ".middle.", ".conv.2.": ".last."},
}


def our_name(name: str) -> str:
    """Of a tensor of the published SPAN."""
    for theirs, ours in _NAMES.items():
        name = name.replace(theirs, ours)
    return name


@pytest.fixture
def theirs_and_ours() -> tuple[Any, SPAN]:
    """The published SPAN, and ours with its weights."""
    spandrel()
    published = import_module("spandrel.architectures.SPAN")
    torch.manual_seed(0)
    options: dict[str, Any] = {"feature_channels": 16, "upscale": 3, "rgb_mean": (0.5, 0.5, 0.5)}
    theirs = published.SPAN(num_in_ch=3, num_out_ch=3, **options).eval()
    state = {our_name(name): value for name, value in random_weights(theirs).items() if "eval_conv" not in name}
    for name in ("tail.weight", "tail.bias"):
        state[name] = 255 * state[name]  # theirs makes values up to 1 from values up to 255
    net = SPAN(3, channels=16).eval()
    net.load_state_dict(state)
    return theirs, net


@needs_spandrel
@pytest.mark.parametrize("is_folded", [False, True])
@torch.no_grad()
def test_span_adds_the_output_of_the_published_network_to_the_bicubic_image(
    theirs_and_ours: tuple[Any, SPAN], is_folded: bool
) -> None:
    theirs, net = theirs_and_ours
    lr = torch.rand(2, 3, 13, 10)
    nn.init.zeros_((without := SPAN(3, channels=16).eval()).tail.weight)
    expected = theirs(lr)
    actual = (net.folded() if is_folded else net)(lr) - without(lr)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@needs_spandrel
def test_span_has_the_gradients_of_the_published_network_in_training(theirs_and_ours: tuple[Any, SPAN]) -> None:
    theirs, net = theirs_and_ours
    lr = torch.rand(1, 3, 9, 8)
    theirs.train()(lr).square().mean().backward()
    (net.train()(lr) - SPAN(3, channels=16)(lr)).square().mean().backward()
    ours = dict(net.named_parameters())
    compared = 0
    for name, parameter in theirs.named_parameters():
        if "eval_conv" not in name and "upsampler" not in name:
            expected = parameter.grad
            torch.testing.assert_close(
                ours[our_name(name)].grad, expected, rtol=0, atol=1e-4 * float(expected.abs().max())
            )
            compared += 1
    assert compared == len(ours) - 2
