"""VDSR: twenty convolutions that predict the residual of bicubic enlargement (Kim et al. 2016)."""

from math import ceil

from torch import Tensor, nn

from sr.errors import check_at_least
from sr.image import resize
from sr.nets.layers import BICUBIC_HALO, GREY, OutputConv, conv


class VDSR(nn.Module):
    """Very deep super-resolution network, arXiv:1511.04587, on RGB instead of luma; always residual."""

    any_scale = True  # no parameter depends on the scale, so one network can serve several

    def __init__(self, scale: int = 1, num_blocks: int = 18, channels: int = 64, image_channels: int = 3) -> None:
        """Build the network; with the defaults it has 668,227 parameters at any scale.

        Args:
            scale: enlargement factor, 1 or more; the input is enlarged by bicubic interpolation first.
            num_blocks: hidden convolutions between the first and the last.
            channels: width of all hidden layers.
            image_channels: of input and output: 1 for gray, as in the paper.

        Raises:
            UserError: if an argument is out of range.
        """
        super().__init__()
        check_at_least("VDSR: scale", scale, 1)
        check_at_least("VDSR: num_blocks", num_blocks, 1)
        check_at_least("VDSR: channels", channels, 1)
        check_at_least("VDSR: image_channels", image_channels, 1)
        self.scale, self.image_channels = scale, image_channels
        self.halo = ceil((num_blocks + 2) / scale) + BICUBIC_HALO
        layers: list[nn.Module] = [conv(image_channels, channels, reads_image=True), nn.ReLU(inplace=True)]
        for _ in range(num_blocks):
            layers += [conv(channels, channels), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers)
        self.tail = OutputConv(channels, image_channels, start_at_zero=True)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped."""
        enlarged = resize(lr, self.scale)
        residual: Tensor = self.tail(self.body(enlarged - GREY))
        return enlarged + residual
