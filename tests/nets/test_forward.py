"""Every network agrees with a reimplementation of its forward pass."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.image import resize
from sr.nets.autoencoder import Autoencoder
from sr.nets.edsr import EDSR
from sr.nets.espcn import ESPCN
from sr.nets.vdsr import VDSR

State = dict[str, Tensor]


def randomised(net: nn.Module) -> State:
    """Give every parameter, including biases and zero heads, a random value and return the state."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return net.eval().state_dict()


def convolve(x: Tensor, state: State, layer: str) -> Tensor:
    weight = state[f"{layer}.weight"]
    return F.conv2d(x, weight, state[f"{layer}.bias"], padding=weight.shape[-1] // 2)


def image(height: int = 8, width: int = 12) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(6))


def close(left: Tensor, right: Tensor) -> bool:
    return torch.allclose(left, right, atol=1e-5 * float(right.abs().max()))


@torch.no_grad()
def test_vdsr_is_a_chain_of_convolutions_and_relus_added_to_the_enlarged_image() -> None:
    net = VDSR(scale=2, num_blocks=2, channels=4)
    state, lr = randomised(net), image()
    x = resize(lr, 2) - 0.5
    for number in (0, 2, 4):
        x = F.relu(convolve(x, state, f"body.{number}"))
    assert close(net(lr), resize(lr, 2) + convolve(x, state, "tail"))


@torch.no_grad()
def test_edsr_has_a_skip_around_each_block_and_around_all_of_them() -> None:
    net = EDSR(scale=6, num_blocks=2, channels=4)
    state, lr = randomised(net), image()
    head = x = convolve(lr - 0.5, state, "head")
    for block in (0, 1):
        hidden = F.relu(convolve(x, state, f"blocks.{block}.body.0"))
        x = x + convolve(hidden, state, f"blocks.{block}.body.2")
    x = head + convolve(x, state, "blocks.2")
    x = F.pixel_shuffle(convolve(x, state, "upsampler.0"), 2)
    x = F.pixel_shuffle(convolve(x, state, "upsampler.2"), 3)
    assert close(net(lr), resize(lr, 6) + convolve(x, state, "tail"))


@pytest.mark.parametrize("head", ["residual", "sigmoid"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@torch.no_grad()
def test_espcn_shuffles_the_channels_of_its_last_convolution(activation: str, head: str) -> None:
    net = ESPCN(scale=3, num_blocks=2, channels=8, activation=activation, head=head)
    state, lr = randomised(net), image()
    x = lr
    for number in (0, 2):
        x = getattr(torch, activation)(convolve(x, state, f"body.{number}"))
    out = F.pixel_shuffle(convolve(x, state, "tail"), 3)
    assert close(net(lr), resize(lr, 3) + out if head == "residual" else out.sigmoid())


@pytest.mark.parametrize("head", ["residual", "sigmoid"])
@pytest.mark.parametrize("skips", [True, False])
@torch.no_grad()
def test_autoencoder_pools_twice_and_adds_the_features_before_each_pooling(skips: bool, head: str) -> None:
    net = Autoencoder(scale=2, channels=4, skips=skips, head=head)
    state, lr = randomised(net), image(5, 7)  # enlarged to 10x14 pixels, padded to 12x16

    def two_convolutions(x: Tensor, layer: str) -> Tensor:
        return F.relu(convolve(F.relu(convolve(x, state, f"{layer}.0")), state, f"{layer}.2"))

    enlarged = resize(lr, 2)
    x = torch.cat([enlarged, enlarged[..., -1:, :].expand(-1, -1, 2, -1)], dim=-2)
    x = torch.cat([x, x[..., -1:].expand(-1, -1, -1, 2)], dim=-1)
    full = two_convolutions(x - 0.5 if head == "residual" else x, "encoder.0")
    half = two_convolutions(F.max_pool2d(full, 2), "encoder.1")
    x = convolve(F.max_pool2d(half, 2), state, "bottleneck")
    x = two_convolutions(x.repeat_interleave(2, -1).repeat_interleave(2, -2), "decoder.0")
    x = x + half if skips else x
    x = two_convolutions(x.repeat_interleave(2, -1).repeat_interleave(2, -2), "decoder.1")
    out = convolve(x + full if skips else x, state, "tail")[..., :10, :14]
    assert close(net(lr), enlarged + out if head == "residual" else out.sigmoid())


def test_autoencoder_drops_activations_after_its_first_pooling() -> None:
    net = Autoencoder(channels=4, dropout=0.3).train()
    calls: list[tuple[Tensor, Tensor]] = []
    net.dropout.register_forward_hook(lambda module, inputs, output: calls.append((inputs[0], output)))
    net(image(40, 40))
    [(before, after)] = calls
    assert before.shape == (2, 4, 20, 20)
    active = before != 0
    assert abs((after[active] == 0).float().mean().item() - 0.3) < 0.05


@pytest.mark.parametrize(
    ("net", "halo"),
    [(ESPCN(num_blocks=3), 5), (VDSR(scale=3), 9), (EDSR(), 37), (Autoencoder(scale=2), 13), (Autoencoder(), 23)],
)
def test_halo_is_the_reach_of_the_convolutions_in_low_resolution_pixels(net: ESPCN, halo: int) -> None:
    assert net.halo == halo


@pytest.mark.parametrize(("scale", "align"), [(1, 4), (2, 2), (3, 4), (4, 1), (6, 2)])
def test_autoencoder_is_aligned_to_a_multiple_of_four_enlarged_pixels(scale: int, align: int) -> None:
    assert Autoencoder(scale=scale, channels=1).align == align


def test_vdsr_and_autoencoder_support_any_scale() -> None:
    assert [getattr(net, "any_scale", False) for net in (VDSR, Autoencoder, ESPCN, EDSR)] == [True, True, False, False]
