"""Decode 16-bit colours by FFmpeg; Pillow keeps 8 bits of them."""

import io
from typing import Any

import numpy as np

from sr.io.bounded import Pixels

_PADDING = 128  # pixels that FFmpeg may add to each side length


def decode_deep(content: bytes, demuxer: str, size: tuple[int, int]) -> Pixels:
    """``(H, W, C)`` of uint16, as FFmpeg's demuxer of that name sees it: gray or RGB, with or without alpha.

    Args:
        content: of the file.
        demuxer: what FFmpeg calls the format.
        size: width and height in the header, by which the image was admitted.

    Raises:
        ValueError: if the size is another, or the values have 8 bits; FFmpeg raises errors of its own.
    """
    import av  # slow to import

    with av.open(io.BytesIO(content), format=demuxer) as container:
        max_pixels = (size[0] + _PADDING) * (size[1] + _PADDING)
        container.streams.video[0].codec_context.options = {"max_pixels": str(max_pixels)}
        frame = next(container.decode(video=0))  # type: ignore[union-attr]
    gray_alpha = frame.format.name.startswith("ya")
    stored: Any = (frame.reformat(format="rgba64be", threads=1) if gray_alpha else frame).to_ndarray()
    pixels: Pixels = stored if stored.ndim == 3 else stored[..., None]
    if pixels.dtype != np.uint16 or sorted(pixels.shape[:2]) != sorted(size):
        raise ValueError("its headers contradict each other")
    return pixels[..., 2:] if gray_alpha else pixels
