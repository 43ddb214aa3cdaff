"""A convolutional autoencoder: the bicubic image through a bottleneck at a quarter of its sides."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr.errors import UserError, check_at_least, check_choice
from sr.image import resize
from sr.nets.layers import HEADS, OutputConv, conv

_STRIDE = 4  # two poolings by 2


class Autoencoder(nn.Module):
    """The origin project's autoencoder: plain encoder and decoder without skips (after Mao et al. 2016 in spirit)."""

    def __init__(self, scale: int = 1, channels: int = 64, dropout: float = 0.0, head: str = "residual") -> None:
        """Build the network; with the defaults it has 1,110,403 parameters at any scale.

        Args:
            scale: factor of the sides, 1 or more; the input is enlarged by bicubic first.
            channels: width of the outer layers; the inner ones have two and four times as many.
            dropout: share of activations dropped after the first pooling. The origin's 0.3 costs quality: it changes
                the statistics between training and use, which a regression of pixel values feels.
            head: ``residual`` adds the output to the bicubic image; ``sigmoid`` squeezes it into [0, 1].

        Raises:
            UserError: for a value outside these.
        """
        super().__init__()
        check_at_least("Autoencoder: scale", scale, 1)
        check_at_least("Autoencoder: channels", channels, 1)
        check_choice("Autoencoder: head", head, HEADS)
        if not 0 <= dropout < 1:
            raise UserError(f"Autoencoder: dropout must be from 0 up to, not including, 1, got {dropout}")
        self.scale = scale
        self.residual = head == "residual"
        c1, c2, c4 = channels, 2 * channels, 4 * channels
        self.encoder = nn.Sequential(
            *(conv(3, c1), nn.ReLU(), conv(c1, c1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(dropout)),
            *(conv(c1, c2), nn.ReLU(), conv(c2, c2), nn.ReLU(), nn.MaxPool2d(2)),
            conv(c2, c4),
        )
        self.decoder = nn.Sequential(
            *(nn.Upsample(scale_factor=2), conv(c4, c2), nn.ReLU(), conv(c2, c2), nn.ReLU()),
            *(nn.Upsample(scale_factor=2), conv(c2, c1), nn.ReLU(), conv(c1, c1), nn.ReLU()),
        )
        self.tail = OutputConv(c1, 3, start_at_zero=self.residual)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, scale*h, scale*w)``, unclamped."""
        enlarged = resize(lr, self.scale)
        height, width = enlarged.shape[-2:]
        padded = F.pad(enlarged, (0, -width % _STRIDE, 0, -height % _STRIDE), mode="replicate")
        out: Tensor = self.tail(self.decoder(self.encoder(padded)))[..., :height, :width]
        return enlarged + out if self.residual else torch.sigmoid(out)
