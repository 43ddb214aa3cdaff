"""Decode PBM, PGM and PPM, binary or plain, with up to 16 bits, of which Pillow keeps 8 in colour."""

import re
from typing import Any

import numpy as np
from PIL.PpmImagePlugin import PpmImageFile

from sr.io.bounded import BoundedReader, Pixels, UnreadKindError
from sr.io.formats.arrays import ArrayImage
from sr.io.second_reader import check_same

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([1-6])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})")
_MOST = re.compile(_GAP + rb"(\d{1,5})")
_LONGEST_HEADER = 1 << 16  # bytes: comments may be long
_BITMAPS, _COLOURS, _PLAIN = (1, 4), (3, 6), (1, 2, 3)
_MOST_DIGITS = 5


def is_netpbm(head: bytes) -> bool:
    """Whether a file starts as one of the family does, those that are not read included."""
    return re.match(rb"P[1-7Ff][\s#]", head) is not None


class NetpbmImage(ArrayImage):
    """A PBM, PGM or PPM file; the two readers must see the same picture."""

    format = "PPM"

    def _open(self) -> None:
        assert self.fp is not None
        head = self.fp.read(_LONGEST_HEADER)
        if head[1:2] in b"Ff":
            raise UnreadKindError("is a floating-point image of unknown range: save it with 8 or 16 bits")
        if head[1:2] == b"7":
            raise UnreadKindError("is a PAM image, which is not read: save it as PNG")
        match = _HEADER.match(head)
        if match is None:
            raise ValueError("its header is damaged")
        self._kind, width, height = (int(text) for text in match.groups())
        self._most, end = 1, match.end()
        if self._kind not in _BITMAPS:
            most = _MOST.match(head, end)
            if most is None or not 0 < int(most[1]) < 65536:
                raise ValueError("its header is damaged")
            self._most, end = int(most[1]), most.end()
        self._start = end + 1  # a single white space
        self._size = (width, height)
        self.is_deep = self._most > 255
        gray = "1" if self._kind in _BITMAPS else "I;16" if self.is_deep else "L"
        self._mode = "RGB" if self._kind in _COLOURS else gray

    def pixels(self) -> Pixels:
        """``(H, W, C)`` of uint8, or of uint16 if a value can be above 255."""
        width, height = self.size
        channels = 3 if self._kind in _COLOURS else 1
        samples = self._plain(width * height * channels) if self._kind in _PLAIN else self._binary(channels)
        if self._kind in _BITMAPS:
            pixels: Any = np.where(samples, np.uint8(0), np.uint8(255))
        else:
            full = 65535 if self.is_deep else 255
            wide = np.minimum(samples, self._most).astype(np.uint32)
            pixels = ((wide * full + self._most // 2) // self._most).astype(np.uint16 if self.is_deep else np.uint8)
        picture: Pixels = pixels.reshape(height, width, channels)
        self._check_agreement(picture)
        return picture

    def _binary(self, channels: int) -> Any:
        assert self.fp is not None
        width, height = self.size
        row = -(-width // 8) if self._kind in _BITMAPS else width * channels * (2 if self.is_deep else 1)
        self.fp.seek(self._start)
        data = self.fp.read(row * height)
        if len(data) < row * height:
            raise ValueError("image file is truncated")
        values = np.frombuffer(data, ">u2" if self.is_deep else np.uint8)
        return np.unpackbits(values.reshape(height, row), axis=1)[:, :width] if self._kind in _BITMAPS else values

    def _plain(self, count: int) -> Any:
        assert self.fp is not None
        self.fp.seek(self._start)
        text = re.sub(rb"#[^\r\n]*", b"", self.fp.read())
        if self._kind in _BITMAPS:
            digits = np.frombuffer(b"".join(text.split())[:count], np.uint8) - ord("0")
            if len(digits) < count or digits.max(initial=0) > 1:
                raise ValueError("image file is truncated or damaged")
            return digits
        if len(text) < 2 * count - 1:
            raise ValueError("image file is truncated")
        words = text.split(maxsplit=count)[:count]
        if len(words) < count or not all(word.isdigit() and len(word) <= _MOST_DIGITS for word in words):
            raise ValueError("image file is truncated or damaged")
        return np.array(words).astype(np.uint32)

    def _check_agreement(self, pixels: Pixels) -> None:
        """Compare with what Pillow sees.

        Raises:
            ValueError: if the two differ.
        """
        assert self.fp is not None
        self.fp.seek(0)
        with PpmImageFile(BoundedReader(self.fp)) as other:
            check_same(pixels, other)
