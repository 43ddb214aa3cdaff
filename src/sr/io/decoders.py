"""Pillow's decoders for the formats that are read, made safe for untrusted files.

Pillow reads every tag of EXIF, multi-picture and TIFF directories, and tens of thousands of tags may each claim to be
the whole file. Nothing but the orientation is needed of EXIF, so it is looked up here; TIFF, whose tags describe the
pixels, may read its file a few times over and no more. Decoders are chosen by content, whatever the file is called:
Pillow would start Ghostscript for a PostScript file named .png. The caller limits the number of pixels.
"""

import re
import struct
from collections.abc import Callable
from typing import IO

from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TgaImagePlugin import TgaImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from sr.io.bounded import BoundedReader, Pixels
from sr.io.formats.arrays import ArrayImage
from sr.io.formats.heif import is_heif, open_heif
from sr.io.formats.jpeg_2000 import HEADS as JPEG_2000_HEADS
from sr.io.formats.jpeg_2000 import open_jpeg_2000
from sr.io.formats.jpeg_xl import JpegXlImage, is_jpeg_xl
from sr.io.formats.netpbm import NetpbmImage, is_netpbm
from sr.io.tiffs import TiffImage, is_for_pillow, page_count

_FRAMES = {"TIFF": "pages", "JPEG": "pictures", "HEIF": "pictures"}  # what several of them are called
_HEAD = 256  # bytes by which a format is recognised
_ORIENTATION = 0x0112  # EXIF tag
_NUMBER_OF_IMAGES = 0xB001  # tag of the multi-picture format (CIPA DC-007)
_TAG_FORMATS = {1: "B", 3: "H", 4: "L"}  # of the types whose value lies in the tag itself
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


def open_decoder(file: IO[bytes]) -> ImageFile.ImageFile:
    """Read the header of an image file.

    Raises:
        SyntaxError: if it is none of the formats that are read; decoders raise other exceptions on damaged files.
    """
    head = file.read(_HEAD)
    file.seek(0)
    for matches, decoder in _DECODERS:
        if matches(head):
            return decoder(file)
    raise SyntaxError("not an image")


def remaining_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, that still has to be applied; Pillow applies that of TIFF while it decodes.

    PNG may store it behind the pixels: known once they are decoded.
    """
    if isinstance(image, ArrayImage) or image.format == "AVIF":
        return _orientation(getattr(image, "stored_orientation", None), image)
    if isinstance(image, _Tiff):
        return image.stored_orientation if image.tile else 1  # once they are decoded there are no tiles
    exif = image.info.get("exif")
    if exif is None and "Raw profile type exif" in image.info:  # as ImageMagick wrote it before PNG had a chunk for it
        exif = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    return _orientation(_tag_value(exif or b"", _ORIENTATION), image)


def _orientation(tag: object, image: Image.Image) -> int:
    """The orientation of a tag, or of XMP where there is no tag."""
    if tag is None and (match := _XMP_ORIENTATION.search(image.info.get("xmp", b""))):
        return int(match[1])
    return tag if isinstance(tag, int) and 1 <= tag <= 8 else 1


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Apply an EXIF orientation to ``(H, W, ...)``."""
    if orientation == 1:
        return pixels
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::rows, ::columns].copy()  # `ascontiguousarray` keeps a negative stride of a single row


def has_several_frames(image: Image.Image) -> bool:
    """Whether a file is an animation or holds several pages."""
    return bool(getattr(image, "is_animated", False))


def note_of_frames(image: Image.Image) -> str:
    """Which of several frames or pages is read, in a few words; empty if there is one. May change the current one."""
    if not has_several_frames(image):
        return ""
    try:
        count = str(getattr(image, "n_frames", "several"))
    except Exception:  # what follows the first may be damaged
        count = "several"
    return f"the first of {count} {_FRAMES.get(image.format or '', 'frames')}"


def _tag_value(exif: bytes, wanted: int) -> int | None:
    """The value of an integer tag in the first directory of EXIF or multi-picture data; None without it."""
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    value = None
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(f"{order}L", exif, start + 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start + directory)
        for number in range(count):
            place = start + directory + 2 + 12 * number
            tag, type_, length = struct.unpack_from(f"{order}HHL", exif, place)
            if tag == wanted and length == 1 and type_ in _TAG_FORMATS:
                (value,) = struct.unpack_from(f"{order}{_TAG_FORMATS[type_]}", exif, place + 8)
    except struct.error:  # cut off
        pass
    return value


class _Jpeg(JpegImageFile):
    @property
    def n_frames(self) -> int:
        """Number of pictures."""
        return _tag_value(self.info.get("mp", b""), _NUMBER_OF_IMAGES) or 1

    @property
    def is_animated(self) -> bool:
        """Whether it holds several pictures, apart from a gain map that brightens the first on some screens."""
        return self.n_frames > 1 and b"hdrgm:Version" not in self.info.get("xmp", b"")

    def getexif(self) -> Image.Exif:
        return Image.Exif()  # Pillow asks for the resolution


class _Tiff(TiffImageFile):
    def __init__(self, file: IO[bytes]) -> None:
        bounded = BoundedReader(file)
        super().__init__(bounded)
        bounded.lift()  # of many small strips each reads a whole block: only tags are bounded
        self.stored_orientation = _orientation(self.tag_v2.get(_ORIENTATION), self)
        self._source = file

    @property
    def n_frames(self) -> int:
        """Number of pages, by tifffile: Pillow reads all their tags, which may be endless."""
        return page_count(self._source)

    def getexif(self) -> Image.Exif:
        exif = Image.Exif()
        exif[_ORIENTATION] = self.stored_orientation
        return exif

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.core.new(self.mode, self._tile_size)  # type: ignore[attr-defined]  # no limit of pixels here
        super().load_prepare()


class _Tga(TgaImageFile):
    """Without an alpha channel that says nothing: one of zeros, where the header counts no bits of it."""

    def _open(self) -> None:
        super()._open()
        assert self.fp is not None
        place = self.fp.tell()
        self.fp.seek(17)
        self._has_alpha = bool(self.fp.read(1)[0] & 15)
        self.fp.seek(place)

    def load_end(self) -> None:
        super().load_end()
        if self.mode == "RGBA" and not self._has_alpha and self.im.getband(3).getextrema() == (0, 0):
            self.im.fillband(3, 255)


def _is_tga(head: bytes) -> bool:
    """Whether a file may be TGA, which has no signature: every field of its header has to make sense."""
    if len(head) < 18 or head[1] > 1 or 0 in (head[12] + head[13], head[14] + head[15]) or head[17] & 0xC0:
        return False
    if (head[1] == 0 and any(head[3:8])) or (head[1] == 1 and head[7] not in (16, 24, 32)):
        return False
    return head[16] in {1: (8,) * head[1], 2: (16, 24, 32), 3: (8, 16)}.get(head[2] & 7, ()) and head[2] in _TGA_KINDS


def _tiff(file: IO[bytes]) -> ImageFile.ImageFile:
    """By tifffile, but for the compressions that only Pillow unpacks."""
    if is_for_pillow(file):
        file.seek(0)
        return _Tiff(file)
    return TiffImage(file)


_TGA_KINDS = (1, 2, 3, 9, 10, 11)
_TIFF_HEADS = (b"MM\0\x2a", b"II\x2a\0", b"MM\x2a\0", b"II\0\x2a", b"MM\0\x2b", b"II\x2b\0")
_DECODERS: tuple[tuple[Callable[[bytes], bool], Callable[[IO[bytes]], ImageFile.ImageFile]], ...] = (
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), PngImageFile),
    (lambda head: head.startswith(b"\xff\xd8\xff"), _Jpeg),
    (lambda head: head[:4] == b"RIFF" and head[8:15] == b"WEBPVP8", WebPImageFile),
    (lambda head: head.startswith(b"BM"), BmpImageFile),
    (lambda head: head.startswith(_TIFF_HEADS), _tiff),
    (lambda head: head.startswith((b"GIF87a", b"GIF89a")), GifImageFile),
    (is_heif, open_heif),
    (is_jpeg_xl, JpegXlImage),
    (lambda head: head.startswith(JPEG_2000_HEADS), open_jpeg_2000),
    (is_netpbm, NetpbmImage),
    (_is_tga, _Tga),
)
