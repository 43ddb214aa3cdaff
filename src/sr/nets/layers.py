"""The convolutions that all networks share."""

import torch
from torch import Tensor, nn

HEADS = ("residual", "sigmoid")

# Radius of bicubic interpolation in low-resolution pixels.
BICUBIC_HALO = 2

# Deep residual networks subtract the middle of the range from their input, so that features start with small means.
GREY = 0.5

# Scale of the He-initialised part of a hidden layer; the rest is an orthogonal matrix at the centre of the kernel.
_SPREAD = 0.1


def conv(in_channels: int, out_channels: int, kernel_size: int = 3, *, reads_image: bool = False) -> nn.Conv2d:
    """Return a convolution that keeps height and width, initialised to keep variance and position of its input.

    A layer that reads an image is He-initialised (He et al. 2015). Hidden layers start as an orthogonal matrix at the
    centre of the kernel (Xiao et al. 2018, arXiv:1806.05393) plus a tenth of a He-initialised kernel. With the latter
    alone, deep features hardly depend on the pixel at their position, and a residual network trained with L1 keeps its
    initial zero output for hundreds of steps.
    """
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if not reads_image:
        matrix = nn.init.orthogonal_(torch.empty(out_channels, in_channels), gain=2**0.5)
        centre = kernel_size // 2
        with torch.no_grad():
            layer.weight.mul_(_SPREAD)
            layer.weight[:, :, centre, centre] += (1 - _SPREAD**2) ** 0.5 * matrix
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class OutputConv(nn.Conv2d):
    """The last 3x3 convolution, computed in float32 under autocast: bfloat16 would round an image to about 8 bits."""

    def __init__(self, in_channels: int, out_channels: int, *, start_at_zero: bool) -> None:
        """Initialise the bias to zero, and the weights to zero or by the default of torch.

        With zero weights a residual network starts as the identity.
        """
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)
        if start_at_zero:
            nn.init.zeros_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve outside autocast: ``(N, in, h, w)`` to ``(N, out, h, w)``."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))
