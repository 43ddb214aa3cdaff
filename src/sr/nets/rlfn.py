"""RLFN: residual local features with a light spatial attention (Kong et al. 2022)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.errors import check_at_least
from sr.image import resize
from sr.nets.layers import GREY, OutputConv

_SLOPE = 0.05
_CONVS = 3  # of a block

# The attention is computed on a grid: a convolution of stride 2, then a pooling of 7x7 by 3.
_POOL, _POOL_STRIDE = 7, 3
_GRID = 2 * _POOL_STRIDE

# Value i of the grid has seen pixels 6i - 4 to 6i + 10; a convolution adds what its neighbours have seen. Pixel 6i + 3
# is the first to interpolate values i and i + 1, and so sees pixel 6i + 22, which is 19 away: none looks farther. That
# is a pixel 6j + 4. The next attention sees 18 from there, to 6j + 22, and no farther from the three pixels after it.
_FIRST_REACH, _NEXT_REACH = 19, 18


class RLFN(nn.Module):
    """Residual local feature network, arXiv:2205.07514.

    Two things differ from the paper. The output is added to the bicubic image, so training starts from bicubic
    quality. And the attention's grid has a value for every six pixels, at their middle, whatever the size of the image:
    the authors stretch a grid without padding over the image, so that it is a coarser one on small training patches,
    needs images of 15 pixels or more, and differs between an image and its tiles.
    """

    align = _GRID

    def __init__(
        self,
        scale: int = 1,
        num_blocks: int = 6,
        channels: int = 52,
        attention_channels: int = 16,
        image_channels: int = 3,
    ) -> None:
        """Build the network; with the defaults it has 526,856 parameters at scale 2, and 543,740 at scale 4.

        Args:
            scale: enlargement factor, 1 or more.
            num_blocks: residual blocks, each with three convolutions and an attention.
            channels: width of all layers outside the attention.
            attention_channels: width of the attention.
            image_channels: of input and output: 1 for gray.

        Raises:
            UserError: if an argument is out of range.
        """
        super().__init__()
        check_at_least("RLFN: scale", scale, 1)
        check_at_least("RLFN: num_blocks", num_blocks, 1)
        check_at_least("RLFN: channels", channels, 1)
        check_at_least("RLFN: attention_channels", attention_channels, 1)
        check_at_least("RLFN: image_channels", image_channels, 1)
        self.scale, self.image_channels = scale, image_channels
        # Tail, convolution after the blocks, attentions, the convolutions of the first block, head.
        self.halo = 2 + _FIRST_REACH + _NEXT_REACH * (num_blocks - 1) + _CONVS + 1
        self.head = nn.Conv2d(image_channels, channels, 3, padding=1)
        self.blocks = nn.Sequential(
            *(_Block(channels, attention_channels) for _ in range(num_blocks)),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.tail = OutputConv(channels, image_channels * scale**2, start_at_zero=True)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped."""
        x = self.head(lr - GREY)
        residual: Tensor = self.shuffle(self.tail(x + self.blocks(x)))
        return resize(lr, self.scale) + residual


class _Block(nn.Module):
    """Three convolutions added to their input, mixed by a 1x1 convolution, and weighted by attention."""

    def __init__(self, channels: int, attention_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(_CONVS):
            layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(_SLOPE, inplace=True)]
        self.body = nn.Sequential(*layers)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.attention = _Attention(channels, attention_channels)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(x + self.body(x))
        weights: Tensor = self.attention(mixed)
        return mixed * weights


class _Attention(nn.Module):
    """Enhanced spatial attention (Liu et al. 2020, arXiv:2009.11551) with one convolution per group, as in RLFN."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, width, 1)
        self.shortcut = nn.Conv2d(width, width, 1)
        self.stride = nn.Conv2d(width, width, 3, stride=2)
        self.pool = nn.MaxPool2d(_POOL, _POOL_STRIDE)
        self.context = nn.Conv2d(width, width, 3, padding=1)
        self.expand = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, h, w)`` to weights from 0 to 1 of the same shape."""
        height, width = x.shape[-2:]
        reduced = self.reduce(x)  # (N, width, h, w)
        # Padded so that value i of the grid looks at the same number of pixels on both sides of pixel 6 * i + 3.
        half = self.stride(
            F.pad(reduced, (0, 1 + width % 2, 0, 1 + height % 2))
        )  # (N, width, h / 2, w / 2), rounded up
        coarse = self.pool(F.pad(half, _pool_padding(half), value=float("-inf")))  # (N, width, h / 6, w / 6)
        context = F.interpolate(self.context(coarse), scale_factor=float(_GRID), mode="bilinear", align_corners=False)
        out: Tensor = torch.sigmoid(self.expand(context[..., :height, :width] + self.shortcut(reduced)))
        return out


def _pool_padding(half: Tensor) -> tuple[int, int, int, int]:
    """Columns and rows on both sides with which a pooling has a value for every three pixels, rounded up."""
    before = _POOL_STRIDE - 1
    after = [(-size) % _POOL_STRIDE + _POOL - _POOL_STRIDE - before for size in half.shape[-2:]]
    return before, after[1], before, after[0]
