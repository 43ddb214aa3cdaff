"""A loss that weighs edges."""

import torch.nn.functional as F
from torch import Tensor, nn


class EdgeLoss(nn.Module):
    """Mean absolute error of the pixels, and of the differences between neighbours."""

    def __init__(self, weight: float = 0.5) -> None:
        """Take the weight of the differences."""
        super().__init__()
        self.weight = weight

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The loss of outputs against targets, ``(N, 3, H, W)`` each."""
        rows, columns = (F.l1_loss(sr.diff(dim=dim), hr.diff(dim=dim)) for dim in (-2, -1))
        return F.l1_loss(sr, hr) + self.weight * (rows + columns)
