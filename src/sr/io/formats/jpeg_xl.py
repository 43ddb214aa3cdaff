"""Decode JPEG XL by imagecodecs, once its header (ISO/IEC 18181-1) has said the size and what its channels are."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sr.io.bounded import Pixels, UnreadKindError
from sr.io.formats.arrays import ArrayImage, filled

INSTALL = "pip install 'sr-compare[jxl]'"

_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height
_LONGEST_HEADER = 4096  # bytes of the codestream that are looked at
_ALPHA, _GRAY = 0, 1


def is_jpeg_xl(head: bytes) -> bool:
    """Whether a file is JPEG XL, bare or in a container."""
    return head.startswith((_CODESTREAM, _CONTAINER))


class JpegXlImage(ArrayImage):
    """The first frame of a JPEG XL file, upright, with 8 or 16 bits; other depths are stretched to the next."""

    format = "JXL"

    def _open(self) -> None:
        try:
            from imagecodecs import jpegxl_decode
        except ImportError as error:
            raise UnreadKindError(f"is JPEG XL, which needs imagecodecs: {INSTALL}") from error
        assert self.fp is not None
        self._decode: Any = jpegxl_decode
        self._content = self.fp.read()
        codestream = self._content[:_LONGEST_HEADER]
        if self._content.startswith(_CONTAINER):
            codestream = b""
            for kind, data in _boxes(self._content):
                if kind in (b"jxlc", b"jxlp"):
                    codestream += data[4 if kind == b"jxlp" else 0 :][:_LONGEST_HEADER]
                elif kind == b"Exif":
                    self.info["exif"] = data[4:]
                elif kind == b"xml ":
                    self.info["xmp"] = data
        header = _Header.of(codestream)
        self._size = (header.width, header.height)
        self._bits = header.bits
        self.is_deep = header.bits > 8
        self.is_animated = header.is_animated
        self.stored_orientation = 1  # libjxl turns it
        self.note = "its colour profile is not read" if header.has_profile else ""
        gray = {(False, False): "L", (True, False): "LA", (False, True): "I;16", (True, True): "LA"}
        self._mode = gray[header.has_alpha, self.is_deep] if header.is_gray else "RGBA" if header.has_alpha else "RGB"

    def pixels(self) -> Pixels:
        """``(H, W, C)`` of uint8 or uint16."""
        decoded = self._decode(self._content, index=0, numthreads=1)
        pixels: Pixels = decoded if decoded.ndim == 3 else decoded[..., None]
        self._check_shape(pixels)
        if pixels.dtype != (np.uint16 if self.is_deep else np.uint8):
            raise ValueError("its headers contradict each other")
        return filled(pixels, self._bits)


@dataclass(frozen=True)
class _Header:
    """What the header of a codestream says; the size is that of the upright picture."""

    width: int
    height: int
    bits: int = 8
    is_animated: bool = False
    has_alpha: bool = False
    is_gray: bool = False
    has_profile: bool = False

    @classmethod
    def of(cls, data: bytes) -> "_Header":
        """Read a header.

        Raises:
            UnreadKindError: for floating-point values, and for channels that no picture has.
            ValueError: if it is damaged.
        """
        if not data.startswith(_CODESTREAM):
            raise ValueError("its header is damaged")
        read = _Bits(data[len(_CODESTREAM) :])
        width, height = read.size()
        if read.flag():  # everything is as usual
            return cls(width, height)
        orientation, is_animated = 1, False
        if read.flag():
            orientation = 1 + read.bits(3)
            if read.flag():  # the size at which to show it
                read.size()
            if read.flag():
                raise UnreadKindError("has a preview, which is not read: save it without")
            if is_animated := read.flag():
                read.timing()
        bits = read.depth()
        read.flag()  # whether 16 bits are enough to decode it
        has_alpha = read.has_alpha()
        read.flag()  # whether it was coded in XYB
        is_gray = has_profile = False
        if not read.flag():
            has_profile = read.flag()
            is_gray = read.choice((0, 0), (1, 0), (2, 4), (18, 6)) == _GRAY
        if orientation > 4:
            width, height = height, width
        return cls(width, height, bits, is_animated, has_alpha, is_gray, has_profile)


class _Bits:
    """Reads fields from the lowest bit upwards."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def bits(self, count: int) -> int:
        """An unsigned number of so many bits."""
        self._left -= count
        if self._left < 0:
            raise ValueError("image file is truncated")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        return value

    def flag(self) -> bool:
        """A single bit."""
        return bool(self.bits(1))

    def choice(self, *forms: tuple[int, int]) -> int:
        """A number in one of four forms, which the next two bits choose: an offset and the bits that are added."""
        offset, count = forms[self.bits(2)]
        return offset + self.bits(count)

    def size(self) -> tuple[int, int]:
        """Width and height."""
        small = self.flag()

        def side() -> int:
            return 8 * (1 + self.bits(5)) if small else self.choice((1, 9), (1, 13), (1, 18), (1, 30))

        height = side()
        ratio = self.bits(3)
        if not ratio:
            return side(), height
        across, down = _RATIOS[ratio - 1]
        return height * across // down, height

    def timing(self) -> None:
        """Skip what says how fast an animation is."""
        self.choice((100, 0), (1000, 0), (1, 10), (1, 30))
        self.choice((1, 0), (1001, 0), (1, 8), (1, 10))
        self.choice((0, 0), (0, 3), (0, 16), (0, 32))
        self.flag()

    def depth(self) -> int:
        """Bits of a value.

        Raises:
            UnreadKindError: for floating-point values and more than 16 bits.
        """
        if self.flag():
            raise UnreadKindError("is a floating-point image of unknown range: save it with 8 or 16 bits")
        bits = self.choice((8, 0), (10, 0), (12, 0), (1, 6))
        if bits > 16:
            raise UnreadKindError(f"holds values of {bits} bits: save it with 8 or 16 bits a value")
        return bits

    def has_alpha(self) -> bool:
        """Whether there is transparency.

        Raises:
            UnreadKindError: if other channels than that are added to the colours.
        """
        channels = self.choice((0, 0), (1, 0), (2, 4), (1, 12))
        if not channels:
            return False
        is_usual_alpha = self.flag()
        kind = _ALPHA if is_usual_alpha else self.choice((0, 0), (1, 0), (2, 4), (18, 6))
        if channels > 1 or kind != _ALPHA:
            raise UnreadKindError("has channels beside colours and transparency: save it without")
        if not is_usual_alpha:
            self.depth()
            self.choice((0, 0), (3, 0), (4, 0), (1, 3))
            for _ in range(self.choice((0, 0), (0, 4), (16, 5), (48, 10))):
                self.bits(8)  # its name
            if self.flag():
                raise UnreadKindError("has colours that were multiplied by alpha: save it without")
        return True


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes of a container."""
    start = 0
    while start + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        head = 8
        if length == 1 and start + 16 <= len(content):
            (length,) = struct.unpack_from(">Q", content, start + 8)
            head = 16
        length = length or len(content) - start
        if length < head:
            return
        yield kind, content[start + head : start + length]
        start += length
