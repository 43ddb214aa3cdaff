"""The convolutions that all networks share."""

import torch
from torch import Tensor, nn

HEADS = ("residual", "sigmoid")


def conv(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Conv2d:
    """A convolution that keeps height and width, He-initialised (He et al. 2015) so that depth keeps the variance."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
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
