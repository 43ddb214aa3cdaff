"""Decode JPEG 2000 (ITU-T T.800): 8 bits and deep gray by Pillow, deep colours by FFmpeg.

Of more than 8 bits Pillow (12.3) turns the lightest colours black: it rounds 255.5 of 255 to 256, of which it keeps the
lowest byte.
"""

import struct
from typing import IO

import numpy as np
from PIL import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from sr.io.bounded import Pixels, UnreadKindError
from sr.io.formats.arrays import ArrayImage
from sr.io.formats.ffmpeg import decode_deep
from sr.io.second_reader import check_same

HEADS = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_SIGNED = 0x80
_MODES = frozenset({"L", "LA", "I;16", "RGB", "RGBA"})


def open_jpeg_2000(file: IO[bytes]) -> ImageFile.ImageFile:
    """Read the header of a JPEG 2000 file.

    Raises:
        UnreadKindError: for signed values, and for more than 16 bits.
        Exception: of any kind, if it is damaged.
    """
    content = file.read()
    file.seek(0)
    image = Jpeg2KImageFile(file)
    bits = _bits(content, image.size)
    if bits <= 8:
        return image
    file.seek(0)
    return _DeepJpeg2000(file)


class _DeepJpeg2000(ArrayImage):
    """A picture of 9 to 16 bits, stretched to 16."""

    format = "JPEG2000"

    def _open(self) -> None:
        assert self.fp is not None
        self._content = self.fp.read()
        self._other = self._by_pillow()
        self._size, self._mode = self._other.size, self._other.mode
        if self._mode not in _MODES:
            raise UnreadKindError(f"has more than 8 bits in the mode {self._mode}: save it as RGB")
        self._bits = _bits(self._content, self.size)
        self.is_deep = True

    def _by_pillow(self) -> Jpeg2KImageFile:
        assert self.fp is not None
        self.fp.seek(0)
        return Jpeg2KImageFile(self.fp)

    def pixels(self) -> Pixels:
        """``(H, W, C)`` of uint16; the two readers must see the same colours."""
        other = self._by_pillow()
        if self._mode == "I;16":
            shifted: Pixels = np.asarray(other).astype(np.uint16)[..., None]
        else:
            shifted = decode_deep(self._content, "j2k_pipe", self.size)
            check_same(shifted, other, wraps=True)
        self._check_shape(shifted)
        full: Pixels = shifted | (shifted >> self._bits).astype(np.uint16)  # both readers leave the lowest bits empty
        return full


def _bits(content: bytes, size: tuple[int, int]) -> int:
    """Bits of the deepest channel, as the codestream states them (A.5.1).

    Raises:
        UnreadKindError: for signed values, and for more than 16 bits.
        ValueError: if it states another size than the header of the file, by which the image is admitted.
    """
    start = max(content.find(HEADS[1]), 0)
    right, bottom, left, top = struct.unpack_from(">4I", content, start + 8)
    (channels,) = struct.unpack_from(">H", content, start + 40)
    depths = content[start + 42 : start + 42 + 3 * channels : 3]
    if (right - left, bottom - top) != size or not depths:
        raise ValueError("its headers contradict each other")
    if max(depths) >= _SIGNED:
        raise UnreadKindError("holds signed integers of unknown range: save it with 8 or 16 bits a value")
    bits = max(depths) + 1
    if bits > 16:
        raise UnreadKindError(f"holds values of {bits} bits: save it with 8 or 16 bits a value")
    return bits
