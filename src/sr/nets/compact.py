"""Compact: a chain of convolutions and one pixel shuffle, added to the enlarged image (Wang et al. 2021)."""

import torch.nn.functional as F
from torch import Tensor, nn

from sr.errors import check_at_least, check_choice
from sr.image import resize
from sr.nets.layers import OutputConv, conv

_BASES = ("nearest", "bicubic")


class Compact(nn.Module):
    """SRVGGNetCompact, the small network of Real-ESRGAN (arXiv:2107.10833).

    Its weights have the names of the authors', so that community weights can be used as initial ones. Unlike theirs,
    the last layer starts at zero: the untrained network returns the enlarged image that its output is added to.
    """

    def __init__(
        self,
        scale: int = 1,
        num_blocks: int = 16,
        channels: int = 64,
        base: str = "nearest",
        image_channels: int = 3,
    ) -> None:
        """Build the network; with the defaults it has 621,424 parameters at scale 4.

        Args:
            scale: enlargement factor, 1 or more.
            num_blocks: hidden convolutions after the first; the authors' networks have 16 or 32.
            channels: width of all hidden layers.
            base: what the output is added to: the ``nearest`` image, as the authors do, or the ``bicubic`` one.
            image_channels: of input and output: 1 for gray.

        Raises:
            UserError: if an argument is out of range.
        """
        super().__init__()
        check_at_least("Compact: scale", scale, 1)
        check_at_least("Compact: num_blocks", num_blocks, 1)
        check_at_least("Compact: channels", channels, 1)
        check_choice("Compact: base", base, _BASES)
        check_at_least("Compact: image_channels", image_channels, 1)
        self.scale, self.image_channels = scale, image_channels
        self.halo = num_blocks + 2
        self.base = base
        layers: list[nn.Module] = [conv(image_channels, channels, reads_image=True), nn.PReLU(channels)]
        for _ in range(num_blocks):
            layers += [conv(channels, channels), nn.PReLU(channels)]
        layers.append(OutputConv(channels, image_channels * scale**2, start_at_zero=True))
        self.body = nn.Sequential(*layers)
        self.upsampler = nn.PixelShuffle(scale)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped."""
        residual: Tensor = self.upsampler(self.body(lr))
        if self.base == "nearest":  # a graph of any size, which sr.image.resize exports for bicubic only
            return F.interpolate(lr, scale_factor=float(self.scale), mode="nearest") + residual
        return resize(lr, self.scale) + residual
