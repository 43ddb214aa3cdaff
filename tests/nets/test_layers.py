import torch
import torch.nn.functional as F

from sr.nets.layers import OutputConv, conv


def off_centre_share(weight: torch.Tensor) -> float:
    centre = weight.shape[-1] // 2
    return 1 - (weight[:, :, centre, centre].square().sum() / weight.square().sum()).item()


def test_hidden_convolution_is_almost_orthogonal_at_the_centre_of_its_kernel() -> None:
    torch.manual_seed(0)
    weight = conv(64, 64).weight.detach()
    # The He kernel is scaled by 0.1: a hundredth of the energy, spread evenly over nine pixels.
    assert abs(off_centre_share(weight) - 0.01 * 8 / 9) < 0.001
    matrix = weight[:, :, 1, 1]
    assert torch.allclose(matrix @ matrix.T, 2 * torch.eye(64), atol=0.15)


def test_first_convolution_of_an_image_is_he_initialised() -> None:
    torch.manual_seed(0)
    layer = conv(3, 512, kernel_size=5, reads_image=True)
    assert abs(layer.weight.var().item() / (2 / (3 * 25)) - 1) < 0.05
    assert abs(off_centre_share(layer.weight.detach()) - 24 / 25) < 0.01


def test_hidden_convolution_and_relu_keep_the_second_moment() -> None:
    torch.manual_seed(0)
    x = F.relu(torch.randn(4, 64, 20, 20)) * 2**0.5
    out = F.relu(conv(64, 64)(x))[..., 1:-1, 1:-1]  # the border is affected by zero padding
    assert abs(out.square().mean().item() - 1) < 0.1


def test_convolutions_start_without_bias_and_keep_the_size() -> None:
    for layer in (conv(3, 8), conv(8, 8, 5), OutputConv(8, 3, start_at_zero=False)):
        assert layer.bias is not None
        assert not layer.bias.any()
        assert layer.weight.abs().sum() > 0
        assert layer(torch.rand(1, layer.in_channels, 6, 7)).shape[-2:] == (6, 7)
    assert not OutputConv(8, 3, start_at_zero=True).weight.any()


def test_output_convolution_computes_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    layer = OutputConv(8, 3, start_at_zero=False)
    x = torch.rand(1, 8, 6, 6)
    expected = F.conv2d(x, layer.weight, layer.bias, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), expected)
        assert layer(x.bfloat16()).dtype == torch.float32
