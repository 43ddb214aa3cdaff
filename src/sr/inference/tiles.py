"""Enlarge images of any size with a network: whole, or in tiles that give the same result."""

import logging
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sr.image import DIHEDRAL_CODES, dihedral, to_float, undo_dihedral
from sr.terms import WHOLE_IMAGE

log = logging.getLogger(__name__)

LEAST_TILE = 32  # low-resolution pixels
_WRAPPED = 64  # low-resolution pixels beyond an edge that a network is shown that sees the whole image

# Parts of the messages of torch and CUDA.
_OUT_OF_MEMORY = ("allocate memory", "out of memory")
_TOO_MANY_VALUES = ("canUse32BitIndexMath", "32-bit index", "INT_MAX", "numel() <= std::numeric_limits<int", "2^31")


@torch.inference_mode()
def enlarge(net: nn.Module, lr: Tensor, *, ensemble: bool = False) -> Tensor:
    """Enlarge ``(N, C, h, w)`` in [0, 1] to ``(N, C, scale*h, scale*w)``, unclamped.

    Args:
        net: a network in evaluation mode, on the device of ``lr``.
        lr: the images.
        ensemble: average over the eight flips and quarter turns of the input, each undone on the output (the x8
            self-ensemble of Timofte et al. 2016, arXiv:1511.02228, section 3.6): eight times the work, about 0.1 dB.
    """
    if not ensemble:
        out: Tensor = net(lr)
        return out
    turned = [undo_dihedral(net(dihedral(lr, code).contiguous()), code) for code in DIHEDRAL_CODES]
    return torch.stack(turned).mean(dim=0)


def enlarge_in_tiles(
    net: nn.Module,
    lr: Tensor,
    scale: int,
    tile: int,
    *,
    ensemble: bool = False,
    wrap: bool = False,
    device: torch.device | None = None,
) -> Iterator[tuple[int, int, Tensor]]:
    """Enlarge one image tile by tile, each with a margin as wide as the network sees, which is cut off again.

    The tiles put together equal the whole image's result up to rounding. A tile that does not fit into memory, or whose
    feature maps have more values than an operation of a GPU can count (2^31), is retried at half its side.

    Args:
        net: has ``halo`` and ``align``: how many low-resolution pixels around a pixel its output depends on at most,
            and the grid of low-resolution pixels that its strides need.
        lr: ``(1, C, h, w)`` in [0, 1], or uint8 or uint16, which become that tile by tile, on the device.
        scale: of the network.
        tile: side of a tile in low-resolution pixels, margin not counted; 0 for the whole image.
        ensemble: see `enlarge`.
        wrap: whether the image goes on at its opposite edge, as a texture does. A network that sees the whole image is
            shown 64 pixels beyond each edge.
        device: to compute on; None: that of the network's parameters, or of the image if there are none.

    Yields:
        (top, left, ``(1, C, scale*h', scale*w')``): place and content of a part of the output, row by row of tiles.
    """
    device = device or next((parameter.device for parameter in net.parameters()), lr.device)
    height, width = lr.shape[-2:]
    align = int(getattr(net, "align", 1))
    halo = int(getattr(net, "halo", 0))
    margin = round_up(_WRAPPED if wrap and halo >= WHOLE_IMAGE else halo, align)
    side = round_up(tile, align) if tile else max(height, width)
    waiting = [(top, left, side) for top in range(0, height, side) for left in range(0, width, side)]
    waiting.reverse()
    while waiting:
        top, left, side = waiting.pop()
        bottom, right = min(top + side, height), min(left + side, width)
        if wrap:
            first_row, first_column = top - margin, left - margin
            rows_seen = torch.arange(first_row, bottom + margin, device=lr.device) % height
            columns_seen = torch.arange(first_column, right + margin, device=lr.device) % width
            part = lr.index_select(-2, rows_seen).index_select(-1, columns_seen)
        else:
            first_row, first_column = max(0, top - margin), max(0, left - margin)
            part = lr[..., first_row : min(height, bottom + margin), first_column : min(width, right + margin)]
        try:
            part = to_float(part.to(device)).contiguous(memory_format=torch.channels_last)
            out = enlarge(net, part, ensemble=ensemble)
        except (MemoryError, RuntimeError) as error:
            half = round_up(side // 2, align)
            reason = _too_large(error)
            if not reason or half >= side or side <= LEAST_TILE:
                raise
            log.warning("%s tiles of %d pixels: retrying with %d", reason, side, half)
            waiting = [
                (row, column, half)
                for old_top, old_left, old in [*waiting, (top, left, side)]
                for row in range(old_top, min(old_top + old, height), half)
                for column in range(old_left, min(old_left + old, width), half)
            ]
            continue
        rows = slice((top - first_row) * scale, (bottom - first_row) * scale)
        columns = slice((left - first_column) * scale, (right - first_column) * scale)
        yield top * scale, left * scale, out[..., rows, columns]


def _too_large(error: Exception) -> str:
    """Why a smaller tile may do, in words that go before "tiles of ..."; empty if it would fail as well."""
    text = str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in _OUT_OF_MEMORY):
        return "not enough memory for"
    return "the device cannot count the values of" if any(words in text for words in _TOO_MANY_VALUES) else ""


def round_up(value: int, multiple: int) -> int:
    """The least multiple that is no less than a value."""
    return -(-value // multiple) * multiple
