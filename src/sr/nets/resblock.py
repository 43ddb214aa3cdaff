"""A small plain network of residual blocks at low resolution, without a paper: what good training makes of little."""

from torch import Tensor, nn

from sr.errors import check_at_least
from sr.image import resize
from sr.nets.layers import GREY, OutputConv

_CONVS = 3  # of a block, as in RLFN (arXiv:2205.07514)
_SLOPE = 0.1


class ResBlockNet(nn.Module):
    """Narrow residual blocks of three convolutions, one skip around all of them, one pixel shuffle.

    The layout is that of EDSR (arXiv:1707.02921) with a single shuffle at the end; the output is added to the bicubic
    image.
    """

    def __init__(self, scale: int = 1, num_blocks: int = 6, channels: int = 32, image_channels: int = 3) -> None:
        """Build the network; with the defaults it has 180,076 parameters at scale 2.

        Args:
            scale: enlargement factor, 1 or more.
            num_blocks: residual blocks of three convolutions.
            channels: width of all hidden layers.
            image_channels: of input and output: 1 for gray.

        Raises:
            UserError: if an argument is out of range.
        """
        super().__init__()
        check_at_least("ResBlockNet: scale", scale, 1)
        check_at_least("ResBlockNet: num_blocks", num_blocks, 1)
        check_at_least("ResBlockNet: channels", channels, 1)
        check_at_least("ResBlockNet: image_channels", image_channels, 1)
        self.scale, self.image_channels = scale, image_channels
        self.halo = _CONVS * num_blocks + 3  # blocks, head, the convolution after the blocks, tail
        self.head = _conv(image_channels, channels)
        self.blocks = nn.Sequential(*(_Block(channels) for _ in range(num_blocks)), _conv(channels, channels))
        self.tail = OutputConv(channels, image_channels * scale**2, start_at_zero=True)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped."""
        x = self.head(lr - GREY)
        residual: Tensor = self.shuffle(self.tail(x + self.blocks(x)))
        return resize(lr, self.scale) + residual


class _Block(nn.Module):
    """Three convolutions with activations between them, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(channels, channels)]
        for _ in range(_CONVS - 1):
            layers += [nn.LeakyReLU(_SLOPE, inplace=True), _conv(channels, channels)]
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 3x3 convolution initialised by torch's default, as in EDSR."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
