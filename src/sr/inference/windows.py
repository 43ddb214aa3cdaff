"""The tiles of an image: which pixels each shows a network, and which part of the output it gives. Without torch."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

import numpy as np

from sr.errors import UserError
from sr.terms import WHOLE_IMAGE

log = logging.getLogger(__name__)

LEAST_TILE = 32  # low-resolution pixels
BICUBIC_HALO = 2  # low-resolution pixels
USUAL_TILE = 256  # where no layers tell of their sizes
_WRAPPED = 64  # low-resolution pixels beyond an edge that a network is shown that sees the whole image

# Parts of the messages of torch, CUDA and ONNX Runtime.
_OUT_OF_MEMORY = ("allocate memory", "out of memory")
_TOO_MANY_VALUES = ("canUse32BitIndexMath", "32-bit index", "INT_MAX", "numel() <= std::numeric_limits<int", "2^31")

Seen: TypeAlias = "slice | np.ndarray[Any, np.dtype[np.int64]]"  # rows or columns; indices where an image wraps around
Out = TypeVar("Out")  # an array or tensor (..., H, W)


def each_tile(
    enlarge: Callable[[Seen, Seen], Out],
    size: tuple[int, int],
    scale: int,
    tile: int,
    *,
    halo: int,
    align: int = 1,
    wrap: bool = False,
    ensemble: bool = False,
) -> Iterator[tuple[int, int, Out]]:
    """Enlarge one image tile by tile, each with a margin as wide as the network sees, which is cut off again.

    The tiles put together equal the whole image's result up to rounding. A tile that does not fit into memory, or whose
    feature maps have more values than an operation of a GPU can count (2^31), is retried at half its side.

    Args:
        enlarge: gets rows and columns of the image, and returns that part ``scale`` times as high and wide.
        size: height and width of the image.
        scale: of the network.
        tile: side of a tile in low-resolution pixels, margin not counted; 0 for the whole image.
        halo: how many low-resolution pixels around a pixel the network's output depends on at most.
        align: the grid of low-resolution pixels that its strides need.
        wrap: whether the image goes on at its opposite edge, as a texture does. A network that sees the whole image is
            shown 64 pixels beyond each edge.
        ensemble: whether the network also sees each part flipped. Its grid then begins at the other end, so that a side
            goes on until it is a multiple of ``align``, with its last pixel or, as a texture, at the opposite edge.

    Raises:
        UserError: if a tile does not fit that has to wrap around, and the network sees the whole image.

    Yields:
        (top, left, part): place and content of a part of the output, row by row of tiles.
    """
    height, width = size
    is_whole = must_be_whole(halo, wrap=wrap)
    margin = round_up(_WRAPPED if is_whole else halo, align)
    side = round_up(tile, align) if tile else max(height, width)
    grid = align if ensemble else 1
    waiting = [(top, left, side) for top in range(0, height, side) for left in range(0, width, side)]
    waiting.reverse()
    while waiting:
        top, left, side = waiting.pop()
        bottom, right = min(top + side, height), min(left + side, width)
        first_row, rows = _seen(top, bottom, margin, height, grid, wrap=wrap)
        first_column, columns = _seen(left, right, margin, width, grid, wrap=wrap)
        try:
            out: Any = enlarge(rows, columns)
        except (MemoryError, RuntimeError) as error:
            half = round_up(side // 2, align)
            reason = _too_large(error)
            if not reason or half >= side or side <= LEAST_TILE:
                raise
            if is_whole:
                raise UserError(
                    f"{reason} tiles of {side} pixels, and smaller ones of a network that sees the whole image would "
                    "show seams: leave out --wrap, or use a smaller picture"
                ) from error
            log.warning("%s tiles of %d pixels: retrying with %d", reason, side, half)
            waiting = [
                (row, column, half)
                for old_top, old_left, old in [*waiting, (top, left, side)]
                for row in range(old_top, min(old_top + old, height), half)
                for column in range(old_left, min(old_left + old, width), half)
            ]
            continue
        kept_rows = slice((top - first_row) * scale, (bottom - first_row) * scale)
        kept_columns = slice((left - first_column) * scale, (right - first_column) * scale)
        yield top * scale, left * scale, out[..., kept_rows, kept_columns]


def must_be_whole(halo: int, *, wrap: bool) -> bool:
    """Whether tiles would show seams: at an edge that goes on at the opposite one, each sees 64 pixels beyond it.

    That is not enough for a network that sees the whole image.
    """
    return wrap and halo >= WHOLE_IMAGE


def _seen(start: int, stop: int, margin: int, length: int, grid: int, *, wrap: bool) -> tuple[int, Seen]:
    """What a tile shows of one side of the image: where that starts, negative beyond its edge, and the pixels."""
    stop = round_up(stop, grid)
    if wrap:
        return start - margin, np.arange(start - margin, stop + margin) % length
    first, last = max(0, start - margin), min(round_up(length, grid), stop + margin)
    return first, slice(first, last) if last <= length else np.minimum(np.arange(first, last), length - 1)


def _too_large(error: Exception) -> str:
    """Why a smaller tile may do, in words that go before "tiles of ..."; empty if it would fail as well."""
    text = str(error)
    is_of_torch = type(error).__name__ == "OutOfMemoryError"
    if isinstance(error, MemoryError) or is_of_torch or any(words in text for words in _OUT_OF_MEMORY):
        return "not enough memory for"
    return "the device cannot count the values of" if any(words in text for words in _TOO_MANY_VALUES) else ""


def round_up(value: int, multiple: int) -> int:
    """The least multiple that is no less than a value."""
    return -(-value // multiple) * multiple
