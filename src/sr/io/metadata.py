"""What a picture file says beside its pixels: EXIF, XMP, resolution, and the colour tags of PNG."""

import io
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, TiffImagePlugin

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_COLOUR_TAGS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}  # bytes of each (PNG specification, third edition)
_PREFIX = b"Exif\0\0"
_ORIENTATION, _SHORT = 0x0112, 3
_BYTE, _ASCII = 1, 2  # types of TIFF tags
_MOST_DPI = 65_535
_INCH = 0.0254  # metres
_LONGEST_IN_JPEG = 65_000  # bytes: those of a segment, with room for its name
# EXIF tags of text, which TIFF has as well: camera, time, author, ...
_DESCRIPTION = (270, 271, 272, 305, 306, 315, 33432)
_MORE_EXIF = (0x8769, 0x8825)  # directories of camera settings and of the place
_XMP = 700  # TIFF tag
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes of a value, by type
_MOST_CLAIMED = 1 << 22  # bytes of all values of EXIF: each tag of a hostile file may claim all of it
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

    @property
    def tiff_tags(self) -> dict[int, str | bytes]:
        """Tags of TIFF: the texts of EXIF, and XMP."""
        return self._tiff_tags(_loaded(self.exif))

    def _tiff_tags(self, exif: Image.Exif) -> dict[int, str | bytes]:
        texts = {tag: value for tag in _DESCRIPTION if isinstance(value := exif.get(tag), str) and value.isascii()}
        return {**texts, **({_XMP: self.xmp} if self.xmp else {})}

    def options(self, kind: str) -> tuple[dict[str, Any], list[str]]:
        """How Pillow saves it, and what is left out of a format other than PNG, with the reason."""
        if kind == "TIFF":
            return self._tiff_options()
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
        if self.dpi and kind not in ("WEBP", "AVIF", "GIF"):
            options["dpi"] = tuple(round(dpi) for dpi in self.dpi)
        elif self.dpi:
            lost.append("dpi")
        return options, [f"{name} ({kind} cannot hold it)" for name in [*lost, *self._colour_names]]

    def _tiff_options(self) -> tuple[dict[str, Any], list[str]]:
        exif = _loaded(self.exif)
        options: dict[str, Any] = {"dpi": self.dpi} if self.dpi else {}
        if tags := self._tiff_tags(exif):
            options["tiffinfo"] = directory = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in tags.items():
                directory.tagtype[tag] = _BYTE if isinstance(value, bytes) else _ASCII
                directory[tag] = value
        lost = []
        if not all(str(exif.get(tag, "")).isascii() for tag in _DESCRIPTION):
            lost.append("texts of EXIF with other letters than those of ASCII (TIFF cannot hold them)")
        if any(exif.get_ifd(part) for part in _MORE_EXIF):
            lost.append("camera settings of EXIF (not written to TIFF)")
        return options, [*lost, *(f"{name} (TIFF cannot hold it)" for name in self._colour_names)]

    @property
    def _colour_names(self) -> list[str]:
        names = {b"gAMA": "gamma", b"cICP": "cICP"}
        return [names[tag] for tag, _ in self.colour_tags if tag in names]


def metadata_of(image: Image.Image, content: bytes) -> Metadata:
    """The metadata of a file, once its pixels are decoded: PNG may store some behind them."""
    exif, xmp, dpi = (image.info.get(name) for name in ("exif", "xmp", "dpi"))
    if image.format == "JPEG" and not image.info.get("jfif_unit"):
        dpi = None  # Pillow's guess of 72
    if image.format == "TIFF":
        exif = _exif_of_tiff(content)
    return Metadata(
        exif=_upright_exif(exif) if isinstance(exif, bytes) else b"",
        xmp=_XMP_ORIENTATION.sub(rb"\g<1>1", xmp) if isinstance(xmp, bytes) else b"",
        dpi=_checked_dpi(dpi),
        colour_tags=tuple(_colour_tags(content)),
    )


def _exif_of_tiff(content: bytes) -> bytes:
    """EXIF, as other formats hold it, of the tags of a TIFF file; empty if it has none, or they are damaged."""
    if _claimed(content) > _MOST_CLAIMED:
        return b""
    try:
        stored = Image.open(io.BytesIO(content), formats=["TIFF"]).getexif()
        exif = Image.Exif()
        for tag in _DESCRIPTION:
            if isinstance(value := stored.get(tag), str):
                exif[tag] = value
        for part in _MORE_EXIF:
            if values := stored.get_ifd(part):
                exif[part] = dict(values)
        return exif.tobytes() if len(exif) else b""
    except Exception:  # Pillow raises all kinds of errors on damaged tags
        return b""


def _claimed(data: bytes) -> float:
    """How many bytes the values of the first directory, and of those of EXIF, claim to take; infinite if unknown."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return math.inf if data else 0
    total = 0
    try:
        places = list(struct.unpack_from(f"{order}L", data, 4))
        for place in places:  # to which the first directory adds two at most
            (count,) = struct.unpack_from(f"{order}H", data, place)
            for number in range(count):
                tag, kind, values, value = struct.unpack_from(f"{order}HHLL", data, place + 2 + 12 * number)
                total += _SIZES.get(kind, 8) * values
                if place == places[0] and tag in _MORE_EXIF and len(places) <= len(_MORE_EXIF):
                    places.append(value)
    except struct.error:
        return math.inf
    return total


def _loaded(exif: bytes) -> Image.Exif:
    """The tags of EXIF; none if it is damaged."""
    loaded = Image.Exif()
    if _claimed(exif.removeprefix(_PREFIX)) > _MOST_CLAIMED:
        return loaded
    try:
        loaded.load(exif)
    except Exception:  # Pillow raises all kinds of errors on damaged tags
        return Image.Exif()
    return loaded


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
