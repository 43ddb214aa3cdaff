"""Metrics of a user, good and bad."""

import torch
from torch import Tensor


def of_channels(sr: Tensor, hr: Tensor) -> Tensor:
    """A value for each channel, not for each image."""
    return (sr - hr).abs().mean((2, 3))


def undefined_at_times(sr: Tensor, hr: Tensor) -> Tensor:
    """Not a number for about every second image."""
    error = (sr - hr).abs().mean((1, 2, 3))
    return torch.where((hr.sum((1, 2, 3)) * 255).round() % 2 == 0, torch.nan, error)
