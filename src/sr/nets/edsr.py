"""EDSR: residual blocks without batch normalisation at low resolution (Lim et al. 2017)."""

from torch import Tensor, nn

from sr.errors import check_at_least
from sr.image import resize
from sr.nets.layers import GREY, OutputConv

_STAGES = (2, 3, 5, 7)  # enlargement factors of a single pixel shuffle, smallest first


class EDSR(nn.Module):
    """Enhanced deep super-resolution network, arXiv:1707.02921; the defaults are its baseline.

    Unlike in the paper, the output is added to the bicubic image, so training starts from bicubic quality.
    """

    def __init__(self, scale: int = 1, num_blocks: int = 16, channels: int = 64, image_channels: int = 3) -> None:
        """Build the network; with the defaults it has 1,369,859 parameters at scale 2.

        Args:
            scale: enlargement factor, 1 or more; composite factors such as 4 are enlarged in stages.
            num_blocks: residual blocks of two convolutions.
            channels: width of all hidden layers.
            image_channels: of input and output: 1 for gray.

        Raises:
            UserError: if an argument is out of range.
        """
        super().__init__()
        check_at_least("EDSR: scale", scale, 1)
        check_at_least("EDSR: num_blocks", num_blocks, 1)
        check_at_least("EDSR: channels", channels, 1)
        check_at_least("EDSR: image_channels", image_channels, 1)
        self.scale, self.image_channels = scale, image_channels
        self.halo = 2 * num_blocks + 5  # head, blocks, the convolution after them, at most two stages, tail
        self.head = _conv(image_channels, channels)
        self.blocks = nn.Sequential(*(_Block(channels) for _ in range(num_blocks)), _conv(channels, channels))
        stages: list[nn.Module] = []
        for factor in _factors(scale):
            stages += [_conv(channels, channels * factor**2), nn.PixelShuffle(factor)]
        self.upsampler = nn.Sequential(*stages)
        self.tail = OutputConv(channels, image_channels, start_at_zero=True)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped."""
        x = self.head(lr - GREY)
        residual: Tensor = self.tail(self.upsampler(x + self.blocks(x)))
        return resize(lr, self.scale) + residual


class _Block(nn.Module):
    """Two convolutions around a ReLU, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels), nn.ReLU(inplace=True), _conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 3x3 convolution initialised by torch's default, as in the authors' code.

    He's initialisation would double the variance in each block.
    """
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)


def _factors(scale: int) -> list[int]:
    """Split a scale into its prime factors; a remainder without small prime factors is one stage."""
    for factor in _STAGES:
        if scale % factor == 0:
            return [factor, *_factors(scale // factor)]
    return [scale] if scale > 1 else []
