"""Visual information fidelity in the pixel domain."""

from functools import lru_cache

import torch
from torch import Tensor

from sr.errors import UserError

_NOISE = 2.0  # variance of the visual noise, for values from 0 to 255
_SCALES = 4
_LEAST_SIDE = 41  # pixels: one window on the last scale
_TINY = 1e-10  # as in the authors' code
_STRIP = 48  # rows that are scored at a time


def vif(sr: Tensor, hr: Tensor) -> Tensor:
    """VIFp of each image, averaged over channels: two ``(N, C, H, W)`` in [0, 1] to ``(N,)``.

    Sheikh & Bovik 2006, doi:10.1109/TIP.2005.859378, in the pixel domain as their ``vifp_mscale`` computes it: how much
    of the information in the target the output keeps. It is 1 for equal images and can exceed 1 where the output has
    more contrast. Computed in float32, within 1e-5 of float64.

    Raises:
        UserError: if an image is smaller than 41x41 pixels.
    """
    if min(sr.shape[-2:]) < _LEAST_SIDE:
        size = f"{sr.shape[-1]}x{sr.shape[-2]}"
        raise UserError(f"vif needs images of {_LEAST_SIDE}x{_LEAST_SIDE} pixels or more, got {size}: leave it out")
    pair = torch.stack([hr, sr]).float() * 255 - 128  # about zero, where float32 is finest
    kept, present = hr.new_zeros(hr.shape[:2]), hr.new_zeros(hr.shape[:2])
    for scale in range(_SCALES):
        window = 2 ** (_SCALES - scale) + 1
        if scale:
            pair = _blur(pair, window, step=2)
        rows = pair.shape[-2] - window + 1
        for top in range(0, rows, _STRIP):
            strip = pair[..., top : min(top + _STRIP, rows) + window - 1, :]
            of_output, of_target = _information(strip, window)
            kept += of_output
            present += of_target
    is_flat = present <= 0
    return torch.where(is_flat, torch.ones_like(kept), kept / present.where(~is_flat, torch.ones_like(present))).mean(1)


def _information(pair: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Information of the target that the output keeps, and that is there, summed over the windows: ``(N, C)`` each."""
    hr, sr = pair
    mean_x, mean_y, square_x, square_y, product = _blur(torch.stack([hr, sr, hr * hr, sr * sr, hr * sr]), window)
    variance_x = square_x.addcmul_(mean_x, mean_x, value=-1).clamp_(min=0)
    variance_y = square_y.addcmul_(mean_y, mean_y, value=-1).clamp_(min=0)
    covariance = product.addcmul_(mean_x, mean_y, value=-1)
    # A gain below 0, or of a flat window, keeps nothing.
    gain = (covariance / (variance_x + _TINY)).clamp_(min=0).masked_fill_(variance_x < _TINY, 0)
    noise = torch.addcmul(variance_y, gain, covariance, value=-1).clamp_(min=_TINY)
    keeps = (gain.square_().mul_(variance_x) / noise.add_(_NOISE)).log1p_()
    return keeps.sum(dim=(-2, -1)), (variance_x / _NOISE).log1p_().sum(dim=(-2, -1))


def _blur(image: Tensor, window: int, step: int = 1) -> Tensor:
    """Mean under a Gaussian window that is never padded, at every ``step``-th place: ``(..., H, W)``."""
    height, width = image.shape[-2:]
    rows = _bands(height, window, step, image.device) @ image
    blocks = []
    for left in range(0, width - window + 1, _STRIP):
        columns = rows[..., left : min(left + _STRIP, width - window + 1) + window - 1]
        blocks.append(columns @ _bands(columns.shape[-1], window, step, image.device).T)
    return torch.cat(blocks, dim=-1)


@lru_cache(maxsize=16)  # 16 MB for a side of 2000 pixels
@torch.inference_mode(mode=False)
def _bands(length: int, window: int, step: int, device: torch.device) -> Tensor:
    """The matrix whose rows are the window, each shifted by ``step``."""
    offsets = torch.arange(window, dtype=torch.float64) - window // 2
    weights = torch.exp(-(offsets**2) / (2 * (window / 5) ** 2))
    places = range(0, length - window + 1, step)
    matrix = torch.zeros(len(places), length, dtype=torch.float64)
    for row, place in enumerate(places):
        matrix[row, place : place + window] = weights / weights.sum()
    return matrix.to(device, torch.float32)
