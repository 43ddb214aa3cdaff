from collections.abc import Callable
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from sr.errors import UserError
from sr.image import resize
from sr.io.images import from_pil
from sr.nets.autoencoder import Autoencoder
from sr.nets.compact import Compact
from sr.nets.edsr import EDSR
from sr.nets.espcn import ESPCN
from sr.nets.fsrcnn import FSRCNN
from sr.nets.resblock import ResBlockNet
from sr.nets.rlfn import RLFN
from sr.nets.span import SPAN
from sr.nets.vdsr import VDSR
from tests.support.images import photograph
from tests.support.networks import randomise_output
from tests.support.runs import Compose, model_names

MODELS = model_names()
RESIDUAL = [name for name in MODELS if not name.endswith("_origin")]  # the original models end in a sigmoid
NEAREST = {"compact"}  # added to the nearest image, as by its authors; all others to the bicubic one


def build(compose_config: Compose, name: str, scale: int) -> nn.Module:
    torch.manual_seed(0)
    net: nn.Module = instantiate(compose_config([f"model={name}", f"scale={scale}"]).model)
    return net


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 8), (13, 6)])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("name", MODELS)
def test_network_multiplies_any_size_by_scale(
    compose_config: Compose, name: str, scale: int, size: tuple[int, int]
) -> None:
    net = build(compose_config, name, scale).eval()
    out = net(torch.rand(2, 3, *size))
    assert out.shape == (2, 3, size[0] * scale, size[1] * scale)
    assert out.dtype == torch.float32


@pytest.mark.parametrize("name", MODELS)
def test_gradient_reaches_every_parameter(compose_config: Compose, name: str) -> None:
    net = build(compose_config, name, 2)
    randomise_output(net, std=0.01)
    net(torch.rand(1, 3, 16, 16)).square().mean().backward()
    without_gradient = [key for key, parameter in net.named_parameters() if not parameter.grad.abs().sum() > 0]  # type: ignore[union-attr]
    assert without_gradient == []


@pytest.mark.parametrize("name", RESIDUAL)
def test_residual_network_starts_at_the_enlarged_image(compose_config: Compose, name: str) -> None:
    lr = torch.rand(1, 3, 9, 10)
    expected = resize(lr, 3, "nearest" if name in NEAREST else "bicubic")
    assert torch.equal(build(compose_config, name, 3).eval()(lr), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_network_can_overfit_two_images(compose_config: Compose, name: str) -> None:
    net = build(compose_config, name, 1)
    hr = torch.stack([from_pil(photograph(16, 16, seed)) for seed in (1, 2)]) / 255
    lr = resize(resize(hr, 0.5), 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    initial_loss = torch.nn.functional.mse_loss(net(lr), hr).item()
    for _ in range(200):
        loss = torch.nn.functional.mse_loss(net(lr), hr)
        if loss.item() < 0.5 * initial_loss:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"the loss only went from {initial_loss:.2e} to {loss.item():.2e}")


@pytest.mark.parametrize("name", MODELS)
def test_output_is_float32_and_residual_exact_under_bfloat16(compose_config: Compose, name: str) -> None:
    net = build(compose_config, name, 1).eval()
    lr = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(lr)
    assert out.dtype == torch.float32
    if name in RESIDUAL:
        assert torch.equal(out, lr)  # a zero head adds nothing; bfloat16 would have rounded the image


@pytest.mark.parametrize(
    ("net", "parameters"),
    [
        (ESPCN(activation="tanh", head="sigmoid"), 24_195),
        (ESPCN(), 24_195),
        (Autoencoder(dropout=0.3, head="sigmoid"), 1_110_403),
        (Autoencoder(), 1_110_403),
        (VDSR(), 668_227),
    ],
)
def test_parameter_counts_match_the_original_models(net: nn.Module, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters


@pytest.mark.parametrize(
    ("scale", "upsampler"), [(1, []), (2, [2]), (3, [3]), (4, [2, 2]), (5, [5]), (6, [2, 3]), (11, [11])]
)
def test_edsr_enlarges_in_stages(scale: int, upsampler: list[int]) -> None:
    width = 64
    convolution = width * width * 9 + width
    stages = sum((width * 9 + 1) * width * factor**2 for factor in upsampler)
    expected = (3 * 9 + 1) * width + (2 * 16 + 1) * convolution + stages + (width * 9 + 1) * 3
    assert sum(parameter.numel() for parameter in EDSR(scale=scale).parameters()) == expected
    assert scale != 2 or expected == 1_369_859  # the authors' count


@pytest.mark.parametrize("num_blocks", [2, 3, 4])
@pytest.mark.parametrize("channels", [64, 128, 256])
def test_espcn_halves_the_channels_with_each_block(num_blocks: int, channels: int) -> None:
    net = ESPCN(scale=3, num_blocks=num_blocks, channels=channels)
    widths = [3] + [channels >> block for block in range(num_blocks)] + [27]
    kernels = [25] + [9] * num_blocks
    layers = zip(widths, widths[1:], kernels, strict=False)
    expected = sum((before * kernel + 1) * after for before, after, kernel in layers)
    assert sum(parameter.numel() for parameter in net.parameters()) == expected


@pytest.mark.parametrize("net", [ESPCN(head="sigmoid"), Autoencoder(head="sigmoid")])
def test_sigmoid_head_stays_between_0_and_1(net: nn.Module) -> None:
    out: Tensor = net.eval()(torch.rand(1, 3, 8, 8) * 10 - 5)
    assert 0 <= out.min() <= out.max() <= 1


@pytest.mark.parametrize(
    ("build_net", "options", "message"),
    [
        (ESPCN, {"scale": 0}, "scale must be an integer of 1 or more"),
        (ESPCN, {"num_blocks": 3, "channels": 6}, "multiple of 4"),
        (ESPCN, {"activation": "gelu"}, "one of relu, tanh"),
        (ESPCN, {"head": "none"}, "one of residual, sigmoid"),
        (VDSR, {"num_blocks": 0}, "num_blocks must be"),
        (VDSR, {"scale": 1.5}, "scale must be"),
        (EDSR, {"channels": 0}, "channels must be"),
        (Autoencoder, {"dropout": 1.0}, "dropout must be"),
        (Autoencoder, {"head": "tanh"}, "one of residual, sigmoid"),
        (Compact, {"base": "lanczos"}, "one of nearest, bicubic"),
        (FSRCNN, {"mapping_channels": 0}, "mapping_channels must be"),
        (ResBlockNet, {"num_blocks": 0}, "num_blocks must be"),
        (RLFN, {"attention_channels": 0}, "attention_channels must be"),
        (SPAN, {"channels": 0}, "channels must be"),
    ],
)
def test_a_wrong_option_is_named_with_its_choices(
    build_net: Callable[..., nn.Module], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        build_net(**options)


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_network_takes_and_makes_as_many_channels_as_the_data_have(
    compose_config: Compose, name: str, channels: int
) -> None:
    net = instantiate(compose_config([f"model={name}", "scale=2", f"data.channels={channels}"]).model).eval()
    assert net(torch.rand(1, channels, 9, 8)).shape == (1, channels, 18, 16)
    assert net.image_channels == channels
