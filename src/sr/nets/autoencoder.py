"""A convolutional autoencoder that refines the bicubic image, with a bottleneck at a quarter of its size."""

from math import ceil, gcd

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.errors import UserError, check_at_least, check_choice
from sr.image import resize
from sr.nets.layers import BICUBIC_HALO, GREY, HEADS, OutputConv, conv

_STRIDE = 4  # two poolings by 2

# Radius of the receptive field in pixels of the enlarged image: the encoder's pairs at full and half size, the
# bottleneck at a quarter, the decoder's pairs at half and full size, the tail, and the grid of the poolings.
_REACH = 2 + 2 * 2 + 4 + 2 * 2 + 2 + 1 + _STRIDE


class Autoencoder(nn.Module):
    """The origin project's encoder and decoder, with the additive skips of Mao et al. 2016 (arXiv:1606.08921).

    The skips add no parameters. Without them all detail has to pass through the poolings: within 400 steps with L1, no
    optimizer moved the network away from the zero output that its residual head starts with.
    """

    any_scale = True  # no parameter depends on the scale, so one network can serve several

    def __init__(
        self,
        scale: int = 1,
        channels: int = 64,
        dropout: float = 0.0,
        skips: bool = True,
        head: str = "residual",
        image_channels: int = 3,
    ) -> None:
        """Build the network; with the defaults it has 1,110,403 parameters at any scale.

        Args:
            scale: enlargement factor, 1 or more; the input is enlarged by bicubic interpolation first.
            channels: width of the outer layers; the inner ones have two and four times as many.
            dropout: share of activations dropped after the first pooling. The origin project's 0.3 costs quality:
                statistics differ between training and inference, which hurts a regression of pixel values.
            skips: add the encoder's features to the decoder's of the same size; the origin project has none.
            head: ``residual`` adds the output to the bicubic image; ``sigmoid`` squeezes it into [0, 1].
            image_channels: of input and output: 1 for gray.

        Raises:
            UserError: if an argument is out of range.
        """
        super().__init__()
        check_at_least("Autoencoder: scale", scale, 1)
        check_at_least("Autoencoder: channels", channels, 1)
        check_at_least("Autoencoder: image_channels", image_channels, 1)
        check_choice("Autoencoder: head", head, HEADS)
        if not 0 <= dropout < 1:
            raise UserError(f"Autoencoder: dropout must be from 0 up to, not including, 1, got {dropout}")
        self.scale, self.image_channels = scale, image_channels
        self.align = _STRIDE // gcd(_STRIDE, scale)
        self.halo = ceil(_REACH / scale) + BICUBIC_HALO
        self.residual = head == "residual"
        self.skips = skips
        c1, c2, c4 = channels, 2 * channels, 4 * channels
        self.encoder = nn.ModuleList([_pair(image_channels, c1, reads_image=True), _pair(c1, c2)])
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout)
        self.bottleneck = conv(c2, c4)
        self.up = nn.Upsample(scale_factor=2)
        self.decoder = nn.ModuleList([_pair(c4, c2), _pair(c2, c1)])
        self.tail = OutputConv(c1, image_channels, start_at_zero=self.residual)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped."""
        enlarged = resize(lr, self.scale)
        height, width = enlarged.shape[-2:]
        padded = F.pad(enlarged, (0, -width % _STRIDE, 0, -height % _STRIDE), mode="replicate")
        full = self.encoder[0](padded - GREY if self.residual else padded)
        half = self.encoder[1](self.dropout(self.pool(full)))
        x = self.decoder[0](self.up(self.bottleneck(self.pool(half))))
        x = self.decoder[1](self.up(x + half if self.skips else x))
        out: Tensor = self.tail(x + full if self.skips else x)[..., :height, :width]
        return enlarged + out if self.residual else torch.sigmoid(out)


def _pair(in_channels: int, out_channels: int, *, reads_image: bool = False) -> nn.Sequential:
    first = conv(in_channels, out_channels, reads_image=reads_image)
    return nn.Sequential(first, nn.ReLU(), conv(out_channels, out_channels), nn.ReLU())
