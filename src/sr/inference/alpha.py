"""Colours under full transparency: what a file hides there must not show at the edge of what it shows."""

from typing import Any

import numpy.typing as npt

_ROWS = 256  # that are filled at a time, to bound memory
_MARGIN = 64  # rows around them in which a visible pixel is looked for


def fill_hidden(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give hidden pixels the colour of the nearest visible one.

    A network, or bicubic, mixes neighbours whatever their alpha. Filling keeps the visible colours as they are;
    multiplying by alpha would darken the edges that the network sees.

    Args:
        pixels: ``(H, W, C)``, the last channel alpha.

    Returns:
        The same array if nothing is hidden, or everything.
    """
    visible = pixels[..., -1] > 0
    if visible.all() or not visible.any():
        return pixels
    from scipy.ndimage import distance_transform_edt  # slow to import

    filled = pixels.copy()
    for top in range(0, len(pixels), _ROWS):
        start, end = max(top - _MARGIN, 0), top + _ROWS + _MARGIN
        near = visible[start:end]
        if near.all() or not near.any():
            continue
        rows, columns = distance_transform_edt(~near, return_distances=False, return_indices=True)
        part = slice(top - start, top - start + _ROWS)
        filled[top : top + _ROWS, :, :-1] = pixels[start:end][rows[part], columns[part], :-1]
    return filled
