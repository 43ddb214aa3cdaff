"""A network with one block that is applied several times, after DRCN (Kim et al. 2016, arXiv:1511.04491)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Recursive(nn.Module):
    """Convolutions at low resolution, one of them repeated, then a pixel shuffle onto the bilinear image.

    How far an output pixel looks (``halo``) is not stated here: sr measures it before training.
    """

    def __init__(self, scale: int = 2, channels: int = 16, recursions: int = 4) -> None:
        """Build the network.

        Args:
            scale: enlargement factor.
            channels: width of the hidden layers.
            recursions: how often the block is applied.
        """
        super().__init__()
        if recursions < 1:
            raise ValueError(f"recursions must be 1 or more, got {recursions}")
        self.scale, self.recursions = scale, recursions
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.block = nn.Conv2d(channels, channels, 3, padding=1)
        self.tail = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge ``(N, 3, h, w)`` in [0, 1] to ``(N, 3, scale*h, scale*w)``."""
        hidden = F.relu(self.head(lr))
        for _ in range(self.recursions):
            hidden = F.relu(hidden + self.block(hidden))
        enlarged = F.interpolate(lr, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return enlarged + F.pixel_shuffle(self.tail(hidden), self.scale)
