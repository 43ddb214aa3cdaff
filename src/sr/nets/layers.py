"""The convolutions that all networks share."""

import torch
from torch import Tensor, nn

HEADS = ("residual", "sigmoid")

# Low-resolution pixels on each side that bicubic enlargement looks at.
BICUBIC_HALO = 2

# What a deep residual network subtracts from its input: half of the range, so that features start with smaller means.
GREY = 0.5

# Share of He's random kernel in a hidden layer's start; the rest is orthogonal and at the kernel's centre.
_SPREAD = 0.1


def conv(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Conv2d:
    """A convolution that keeps height and width, and at its start the variance and the place of what it is given.

    The first layer of an image is He-initialised (He et al. 2015). Hidden ones start as an orthogonal matrix at the
    kernel's centre (Xiao et al. 2018, arXiv:1806.05393) plus a tenth of He's kernel: under He's alone the deep features
    of a pixel say next to nothing about it, and a residual network trained by L1 stays at its zero start for hundreds
    of steps.
    """
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if in_channels > 3:
        matrix = nn.init.orthogonal_(torch.empty(out_channels, in_channels), gain=2**0.5)
        centre = kernel_size // 2
        with torch.no_grad():
            layer.weight.mul_(_SPREAD)
            layer.weight[:, :, centre, centre] += (1 - _SPREAD**2) ** 0.5 * matrix
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class OutputConv(nn.Conv2d):
    """The last 3x3 convolution, always in its own precision: bfloat16 would round an image to some 7 bits."""

    def __init__(self, in_channels: int, out_channels: int, *, start_at_zero: bool) -> None:
        """Start at zero weights, so that a residual network begins as the identity, or at torch's default."""
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)
        if start_at_zero:
            nn.init.zeros_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve outside autocast: ``(N, in, h, w)`` to ``(N, out, h, w)``."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))
