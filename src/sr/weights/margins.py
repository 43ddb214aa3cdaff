"""The margin that tiles need around them, found by trying: for networks that state none and show no gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sr.terms import WHOLE_IMAGE

_CANDIDATES = (4, 8, 12, 16, 24, 32, 48, 64)  # low-resolution pixels
_TILE, _ODD = 8, 3  # pixels: the part that is compared, and those that end an image off the grid of tiles
_EXACT = 2e-6  # largest difference, relative to an output of at most 1, that is rounding
_INVISIBLE = 0.25 / 255  # a quarter of the smallest step of 8 bits
_SLIGHT = 2 / 255
# Multiply-adds, of which a processor core does some 10^11 in a second, after which no wider margin is tried.
_WORK = 5e11
_WORK_FOR_EXACT = 2e11  # if one is known whose difference is invisible


@dataclass(frozen=True)
class Margin:
    """How many low-resolution pixels around a tile have to be enlarged with it, and cut off again.

    Attributes:
        pixels: `WHOLE_IMAGE` if no margin is wide enough.
        difference: the largest one between tiles and the whole image that was found, for outputs in [0, 1].
    """

    pixels: int
    difference: float

    @property
    def is_exact(self) -> bool:
        """Whether tiles give what the whole image gives, up to rounding."""
        return self.difference <= _EXACT

    def __str__(self) -> str:
        """In words, for a line about a network."""
        if self.pixels >= WHOLE_IMAGE:
            return "whole images, no tiles"
        about = "" if self.is_exact else f", at most {self.difference:.1g} off the whole image (--tile 0)"
        return f"tiles with a margin of {self.pixels}{about}"


@torch.no_grad()
def measured_margin(
    enlarge: Callable[[Tensor], Tensor], scale: int, *, channels: int = 3, align: int = 1, cost: float = 0
) -> Margin:
    """Find the least margin with which tiles of random images give the same as the whole of them.

    Where none does, as in deep networks that see hundreds of pixels but hardly use those far away, it is the least one
    whose difference cannot be seen in 8 bits, or else the one with the least difference, if that is slight.

    Args:
        enlarge: ``(1, channels, h, w)`` in [0, 1] to ``(1, channels, scale*h, scale*w)``.
        scale: its factor.
        channels: of the images.
        align: the grid of low-resolution pixels on which tiles begin.
        cost: multiply-adds for each pixel of the input, at least roughly.
    """
    generator = torch.Generator().manual_seed(0)
    best = Margin(WHOLE_IMAGE, _SLIGHT)
    spent = 0.0
    for margin in dict.fromkeys(-(-candidate // align) * align for candidate in _CANDIDATES):
        tile = -(-_TILE // align) * align
        side = 2 * margin + tile + _ODD
        lr = torch.rand(1, channels, side, side, generator=generator) * _brightness(side)
        difference = _difference(enlarge, lr, scale, margin, tile)
        spent += cost * (side**2 + 2 * (margin + tile) ** 2)
        if difference <= _EXACT or (difference < best.difference and best.difference > _INVISIBLE):
            best = Margin(margin, difference)
        if best.is_exact or spent > (_WORK_FOR_EXACT if best.difference <= _INVISIBLE else _WORK):
            break
    return best if best.pixels < WHOLE_IMAGE else Margin(WHOLE_IMAGE, 0.0)


def _brightness(side: int) -> Tensor:
    """A square that is darker in one corner: it shows whether a network looks at means of the whole image."""
    ramp = torch.linspace(0.6, 1, side)
    return ramp[:, None] * ramp


def _difference(enlarge: Callable[[Tensor], Tensor], lr: Tensor, scale: int, margin: int, tile: int) -> float:
    """The largest difference between the whole image, and the parts that are cut off at both ends of each side."""
    side = lr.shape[-1]
    whole = enlarge(lr.clone())
    first = enlarge(lr[..., : margin + tile, : margin + tile].clone())[..., : scale * tile, : scale * tile]
    last = enlarge(lr[..., margin:, margin:].clone())[..., scale * margin :, scale * margin :]
    end = scale * 2 * margin
    differences = (first - whole[..., : scale * tile, : scale * tile], last - whole[..., end : scale * side, end:])
    largest = max(float(difference.abs().max()) for difference in differences)
    return largest / max(1.0, float(whole.abs().max()))
