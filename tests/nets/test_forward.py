"""Every network agrees with a reimplementation of its forward pass."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.image import resize
from sr.nets.autoencoder import Autoencoder
from sr.nets.compact import Compact
from sr.nets.edsr import EDSR
from sr.nets.espcn import ESPCN
from sr.nets.fsrcnn import FSRCNN
from sr.nets.resblock import ResBlockNet
from sr.nets.rlfn import RLFN
from sr.nets.span import SPAN
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


@torch.no_grad()
def test_resblock_has_a_skip_around_each_three_convolutions_and_around_all_of_them() -> None:
    net = ResBlockNet(scale=3, num_blocks=2, channels=4)
    state, lr = randomised(net), image()
    head = x = convolve(lr - 0.5, state, "head")
    for block in (0, 1):
        hidden = F.leaky_relu(convolve(x, state, f"blocks.{block}.body.0"), 0.1)
        hidden = F.leaky_relu(convolve(hidden, state, f"blocks.{block}.body.2"), 0.1)
        x = x + convolve(hidden, state, f"blocks.{block}.body.4")
    x = head + convolve(x, state, "blocks.2")
    assert close(net(lr), resize(lr, 3) + F.pixel_shuffle(convolve(x, state, "tail"), 3))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@torch.no_grad()
def test_fsrcnn_spreads_each_low_resolution_pixel_over_nine_by_nine(scale: int) -> None:
    net = FSRCNN(scale, channels=5, mapping_channels=3, num_blocks=2)
    state, lr = randomised(net), image(5, 6)
    x = lr - 0.5
    for number in (0, 2, 4, 6, 8):
        x = F.prelu(convolve(x, state, f"body.{number}"), state[f"body.{number + 1}.weight"])
    spread = torch.zeros(2, 3, 5 * scale + 8, 6 * scale + 8)  # with a margin of 4 pixels
    for row in range(5):
        for column in range(6):
            part = torch.einsum("nc,coyx->noyx", x[..., row, column], state["tail.weight"])
            spread[..., scale * row : scale * row + 9, scale * column : scale * column + 9] += part
    residual = spread[..., 4:-4, 4:-4] + state["tail.bias"].view(1, 3, 1, 1)
    assert close(net(lr), resize(lr, scale) + residual)


@torch.no_grad()
def test_compact_can_be_added_to_the_bicubic_image() -> None:
    nearest, bicubic = Compact(2, num_blocks=1, channels=4), Compact(2, num_blocks=1, channels=4, base="bicubic")
    bicubic.load_state_dict(randomised(nearest))
    lr = image()
    repeated = lr.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert close(nearest(lr) - repeated, bicubic(lr) - resize(lr, 2))


@torch.no_grad()
def test_rlfn_weights_each_block_by_attention_on_a_grid_of_six_pixels() -> None:
    net = RLFN(scale=2, num_blocks=1, channels=4, attention_channels=2)
    state, lr = randomised(net), image(14, 25)
    head = x = convolve(lr - 0.5, state, "head")
    for number in (0, 2, 4):
        x = F.leaky_relu(convolve(x, state, f"blocks.0.body.{number}"), 0.05)
    x = convolve(head + x, state, "blocks.0.mix")
    reduced = convolve(x, state, "blocks.0.attention.reduce")
    stride = "blocks.0.attention.stride"
    half = F.conv2d(F.pad(reduced, (0, 9, 0, 9)), state[f"{stride}.weight"], state[f"{stride}.bias"], stride=2)
    half = half[..., :7, :13]  # of 14x25 pixels, rounded up
    grid = torch.empty(2, 2, 3, 5)  # one value for every six pixels, rounded up
    for row in range(3):
        for column in range(5):
            seen = half[..., max(0, 3 * row - 2) : 3 * row + 5, max(0, 3 * column - 2) : 3 * column + 5]
            grid[..., row, column] = seen.amax(dim=(2, 3))
    context = convolve(grid, state, "blocks.0.attention.context")
    context = F.interpolate(context, scale_factor=6, mode="bilinear")[..., :14, :25]
    context = context + convolve(reduced, state, "blocks.0.attention.shortcut")
    x = head + convolve(x * convolve(context, state, "blocks.0.attention.expand").sigmoid(), state, "blocks.1")
    assert close(net(lr), resize(lr, 2) + F.pixel_shuffle(convolve(x, state, "tail"), 2))


@torch.no_grad()
def test_span_multiplies_features_by_an_odd_function_of_themselves_and_merges_four_of_them() -> None:
    net = SPAN(scale=2, num_blocks=2, channels=4, folded=True)
    state, lr = randomised(net), image()
    head = x = convolve(255 * (lr - 0.5), state, "head")
    outs = []
    for block in (0, 1):
        hidden = F.silu(convolve(x, state, f"blocks.{block}.conv1"))
        out = convolve(F.silu(convolve(hidden, state, f"blocks.{block}.conv2")), state, f"blocks.{block}.conv3")
        x = (x + out) * (out.sigmoid() - 0.5)
        outs.append(x)
    merged = convolve(torch.cat([head, convolve(x, state, "after"), outs[0], hidden], 1), state, "merge")
    assert close(net(lr), resize(lr, 2) + F.pixel_shuffle(convolve(merged, state, "tail"), 2) / 255)


@torch.no_grad()
def test_a_factored_convolution_of_span_pads_before_its_first_factor() -> None:
    net = SPAN(scale=1, num_blocks=1, channels=4)
    state, lr = randomised(net), image()
    x = convolve(F.pad(lr, (1, 1, 1, 1)), state, "head.first")
    x = F.conv2d(x, state["head.middle.weight"], state["head.middle.bias"])
    assert close(net.head(lr), convolve(x, state, "head.last") + convolve(lr, state, "head.skip"))


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
