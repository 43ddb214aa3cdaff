"""Decode AVIF by Pillow and HEIC by pillow-heif, which are told apart by the brands of their first box."""

import io
import struct
from typing import IO, Any

import numpy as np
from PIL import ImageFile

from sr.io.bounded import Pixels, UnreadKindError
from sr.io.formats.arrays import ArrayImage, divided_by_alpha

INSTALL = "pip install 'sr-compare[heif]'"

_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_CONFIGURATION = b"av1C"  # property of AVIF: its third byte has flags of the depth
_HIGH_DEPTH = 0x40


def is_heif(head: bytes) -> bool:
    """Whether a file is AVIF or HEIC."""
    return bool(_brands(head) & (_AVIF | _HEIC))


def open_heif(file: IO[bytes]) -> ImageFile.ImageFile:
    """Read the header of an AVIF or HEIC file.

    Raises:
        UnreadKindError: if the package that decodes it is not installed.
        Exception: of any kind, if it is damaged.
    """
    head = file.read(256)
    file.seek(0)
    if not _brands(head) & _AVIF:
        return HeifImage(file)
    try:
        from sr.io.formats.avif import AvifImage
    except ImportError as error:  # Pillow built without it
        raise UnreadKindError("is AVIF, which needs Pillow 11.3: pip install -U pillow") from error
    return AvifImage(file)


class HeifImage(ArrayImage):
    """The primary picture of a HEIC file, upright, with 8 or 16 bits; 10 and 12 bits are stretched to 16."""

    format = "HEIF"

    def _open(self) -> None:
        try:
            import pillow_heif
        except ImportError as error:
            raise UnreadKindError(f"is HEIC, which needs pillow-heif: {INSTALL}") from error
        assert self.fp is not None
        content = io.BytesIO(self.fp.read())
        self._file: Any = pillow_heif.open_heif(content, convert_hdr_to_8bit=False, hdr_to_16bit=True)
        self._size = self._file.size
        base, _, deep = self._file.mode.partition(";")
        self.is_deep = deep == "16"
        self._mode = "I;16" if self._file.mode == "I;16" or (base == "L" and self.is_deep) else base
        self.n_frames = len(self._file)
        self.is_animated = self.n_frames > 1
        self.stored_orientation = 1  # libheif applies what turns it
        for name in ("icc_profile", "exif", "xmp"):
            if isinstance(value := self._file.info.get(name), bytes) and value:
                self.info[name] = value

    def pixels(self) -> Pixels:
        """``(H, W, C)`` of uint8 or uint16."""
        stored: Any = np.asarray(self._file)
        pixels = stored if stored.ndim == 3 else stored[..., None]
        self._check_shape(pixels)
        if self.is_deep:
            bits = int(self._file.info.get("bit_depth", 16))
            pixels = pixels | pixels >> bits if 8 <= bits < 16 else pixels  # whose lowest bits are empty
        if pixels.shape[2] in (2, 4) and self._file.premultiplied_alpha:
            colours = divided_by_alpha(pixels[..., :-1], pixels[..., -1:])
            pixels = np.concatenate([colours, pixels[..., -1:]], axis=2)
        return np.ascontiguousarray(pixels)


def has_high_depth(content: bytes) -> bool:
    """Whether an AVIF file has 10 or 12 bits, by its configuration."""
    place = content.find(_CONFIGURATION)
    return place >= 0 and len(content) > place + 6 and bool(content[place + 6] & _HIGH_DEPTH)


def _brands(head: bytes) -> set[bytes]:
    """Major and compatible brands in the first box of a file."""
    if head[4:8] != b"ftyp":
        return set()
    (length,) = struct.unpack_from(">I", head)
    box = head[8 : min(length, len(head))]
    return {box[:4], *(box[start : start + 4] for start in range(8, len(box), 4))}
