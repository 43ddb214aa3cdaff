"""What a picture file says beside its pixels: EXIF, XMP, resolution, and the colour tags of PNG."""

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_COLOUR_TAGS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}  # bytes of each (PNG specification, third edition)
_PREFIX = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3
_MOST_DPI = 65_535
_INCH = 0.0254  # metres
_LONGEST_IN_JPEG = 65_000  # bytes: those of a segment, with room for its name
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))[1-8]')


@dataclass(frozen=True)
class Metadata:
    """What is kept of a file beside its pixels and its profile, for an upright picture.

    Attributes:
        exif: without the prefix of JPEG; the orientation reset, the thumbnail unlinked.
        xmp: the orientation reset.
        dpi: pixels per inch, across and down.
        colour_tags: PNG chunks that say what the values mean, by name.
    """

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    colour_tags: tuple[tuple[bytes, bytes], ...] = ()

    def png_chunks(self, *, profile: bool) -> Iterator[tuple[bytes, bytes]]:
        """Name and content of the chunks before the pixels; with a profile, colour tags that it overrides are left."""
        yield from (tag for tag in self.colour_tags if not (profile and tag[0] == b"sRGB"))
        if self.dpi:
            yield b"pHYs", struct.pack(">IIB", *(round(dpi / _INCH) for dpi in self.dpi), 1)
        if self.xmp:
            yield b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + self.xmp
        if self.exif:
            yield b"eXIf", self.exif

    def options(self, kind: str) -> tuple[dict[str, Any], list[str]]:
        """How Pillow saves it, and what a format other than PNG cannot hold."""
        options: dict[str, Any] = {}
        lost = []
        room = {"JPEG": _LONGEST_IN_JPEG, "WEBP": math.inf, "AVIF": math.inf}.get(kind, 0)
        if 0 < len(self.exif) < room:
            options["exif"] = _PREFIX + self.exif if kind == "JPEG" else self.exif
        elif self.exif:
            lost.append("EXIF")
        if 0 < len(self.xmp) < room:
            options["xmp"] = self.xmp
        elif self.xmp:
            lost.append("XMP")
        if self.dpi and kind not in ("WEBP", "AVIF"):
            options["dpi"] = self.dpi if kind == "TIFF" else tuple(round(dpi) for dpi in self.dpi)
        elif self.dpi:
            lost.append("dpi")
        names = {"gAMA": "gamma", "cICP": "cICP"}
        return options, lost + [names[tag.decode()] for tag, _ in self.colour_tags if tag.decode() in names]


def metadata_of(image: Image.Image, content: bytes) -> Metadata:
    """The metadata of a file, once its pixels are decoded: PNG may store some behind them."""
    exif, xmp, dpi = (image.info.get(name) for name in ("exif", "xmp", "dpi"))
    if image.format == "JPEG" and not image.info.get("jfif_unit"):
        dpi = None  # Pillow's guess of 72
    return Metadata(
        exif=_upright_exif(exif) if isinstance(exif, bytes) else b"",
        xmp=_XMP_ORIENTATION.sub(rb"\g<1>1", xmp) if isinstance(xmp, bytes) else b"",
        dpi=_checked_dpi(dpi),
        colour_tags=tuple(_colour_tags(content)),
    )


def _checked_dpi(dpi: object) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= _MOST_DPI and 1 <= down <= _MOST_DPI else None


def _upright_exif(exif: bytes) -> bytes:
    """EXIF with orientation 1, without a thumbnail, which would show the picture as it was; empty if it is damaged."""
    data = bytearray(exif.removeprefix(_PREFIX))
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(data[:4]))
    if order is None:
        return b""
    try:
        (directory,) = struct.unpack_from(f"{order}L", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, directory)
        for number in range(count):
            place = directory + 2 + 12 * number
            (tag,) = struct.unpack_from(f"{order}H", data, place)
            if tag == _ORIENTATION:
                struct.pack_into(f"{order}HLHH", data, place + 2, _SHORT, 1, 1, 0)
        struct.pack_into(f"{order}L", data, directory + 2 + 12 * count, 0)  # the directory of the thumbnail
    except struct.error:
        return b""
    return bytes(data)


def _colour_tags(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The colour tags of a PNG file, each once."""
    start, seen = len(_PNG_HEAD), set[bytes]()
    while content.startswith(_PNG_HEAD) and start + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, start)
        if name == b"IDAT":
            return
        if _COLOUR_TAGS.get(name) == length and name not in seen:
            seen.add(name)
            yield name, content[start + 8 : start + 8 + length]
        start += 12 + length
