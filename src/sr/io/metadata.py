"""What a picture file says beside its pixels: EXIF, XMP, resolution, and the colour tags of PNG."""

import math
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from PIL import Image

from sr.io.directories import BYTE, CAMERA, MAKER_NOTE, Directory, DirectoryReader, Tag, exif_block, without_tags

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_COLOUR_TAGS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4}  # bytes of each (PNG specification, third edition)
_PREFIX = b"Exif\0\0"
_ORIENTATION, _SIDES = 0x0112, frozenset({0xA002, 0xA003})  # the latter of the camera's directory
_RESOLUTION, _UNIT = (282, 283), 296
_ASCII, _SHORT, _RATIONAL, _UTF8 = 2, 3, 5, 129  # types of tags
_MOST_DPI = 65_535
_INCH = 0.0254  # metres
_LONGEST_IN_JPEG = 65_000  # bytes: those of a segment, with room for its name
_DESCRIPTION = 270
_ABOUT = frozenset(  # tags that EXIF and TIFF have alike, beside those of the camera and the place
    {
        *(_DESCRIPTION, 271, 272, 305, 306, 315, 316, 33432),  # maker, model, software, time, artist, computer, rights
        *(18246, 18249, *range(40091, 40096)),  # rating; title, comment, author, keywords and subject of Windows
        *(269, 33434, 33437, 34855, 36867, 50708),  # name; exposure, aperture, sensitivity, time and model by TIFF/EP
    }
)
_GEOREFERENCE = frozenset({33550, 33920, 33922, 34264, 34735, 34736, 34737, 42112, 42113})  # of GeoTIFF and GDAL
_STRUCTURE = frozenset(  # tags of how the file is stored, beside the profile and what is read elsewhere
    {
        *(*range(254, 267), *range(273, 285), *range(288, 293), *range(296, 302), *range(317, 348), *range(512, 522)),
        *(529, 530, 531, 532, 559, 700, 32995, 32996, 32997, 32998, 34675, 59932),
    }
)
_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377  # tags of TIFF
_PHOTOSHOP_IPTC = 0x0404  # resource
_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_OF_ENCODER = b"Created by OpenJPEG"  # a comment in nearly all JPEG 2000, of no picture
_XMP_CHUNK = b"XML:com.adobe.xmp\0"
_XMP_ORIENTATION = re.compile(rb'(tiff:Orientation(?:="|>))[1-8]')


@dataclass(frozen=True)
class Metadata:
    """What is kept of a file beside its pixels and its profile, for an upright picture.

    Attributes:
        exif: without the prefix of JPEG; the orientation reset, the thumbnail unlinked.
        xmp: the orientation reset.
        dpi: pixels per inch, across and down.
        colour_tags: PNG chunks that say what the values mean, by name.
        left_out: what else the file says, in a few words each; no output gets it.
    """

    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    colour_tags: tuple[tuple[bytes, bytes], ...] = ()
    left_out: tuple[str, ...] = ()

    def png_chunks(self, *, profile: bool) -> Iterator[tuple[bytes, bytes]]:
        """Name and content of the chunks before the pixels; with a profile, colour tags that it overrides are left."""
        yield from (tag for tag in self.colour_tags if not (profile and tag[0] == b"sRGB"))
        if self.dpi:
            yield b"pHYs", struct.pack(">IIB", *(round(dpi / _INCH) for dpi in self.dpi), 1)
        if self.xmp:
            yield b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + self.xmp
        if self.exif:
            yield b"eXIf", self.exif

    def tiff_tags(self) -> tuple[Directory, list[str]]:
        """EXIF and XMP as tags of TIFF, and what of EXIF is not among them."""
        directory, lost = _about(self.exif) if self.exif else (Directory(), [])
        if self.xmp:
            directory.tags[_XMP] = Tag(BYTE, self.xmp)
        return directory, lost

    def options(self, kind: str) -> tuple[dict[str, Any], list[str]]:
        """How Pillow saves it, and what is left out of a format other than PNG; for TIFF, see `tiff_tags`, too."""
        options: dict[str, Any] = {}
        lost = []
        room = {"JPEG": _LONGEST_IN_JPEG, "WEBP": math.inf, "AVIF": math.inf}.get(kind, 0)
        if 0 < len(self.exif) < room:
            options["exif"] = _PREFIX + self.exif if kind == "JPEG" else self.exif
        elif self.exif and kind != "TIFF":
            lost.append("EXIF")
        if 0 < len(self.xmp) < room:
            options["xmp"] = self.xmp
        elif self.xmp and kind != "TIFF":
            lost.append("XMP")
        if self.dpi and kind not in ("WEBP", "AVIF", "GIF"):
            options["dpi"] = self.dpi if kind == "TIFF" else tuple(round(dpi) for dpi in self.dpi)
        elif self.dpi:
            lost.append("dpi")
        unheld = [f"{name} ({kind} cannot hold it)" for name in [*lost, *self._colour_names]]
        return options, [*unheld, *self.left_out]

    @property
    def _colour_names(self) -> list[str]:
        names = {b"gAMA": "gamma", b"cICP": "cICP"}
        return [names[tag] for tag, _ in self.colour_tags if tag in names]


def metadata_of(image: Image.Image, content: bytes) -> Metadata:
    """The metadata of a file, once its pixels are decoded: PNG may store some behind them."""
    stored, xmp, dpi = (image.info.get(name) for name in ("exif", "xmp", "dpi"))
    if image.format == "JPEG" and not image.info.get("jfif_unit"):
        dpi = None  # Pillow's guess of 72
    if image.format == "TIFF":
        exif, left_out = _exif_of_tiff(content)
    else:
        exif, directory, left_out = _upright_exif(stored if isinstance(stored, bytes) else b"")
        dpi = dpi or _dpi_of(directory)
    return Metadata(
        exif=exif,
        xmp=_XMP_ORIENTATION.sub(rb"\g<1>1", xmp) if isinstance(xmp, bytes) else b"",
        dpi=_checked_dpi(dpi),
        colour_tags=tuple(_colour_tags(content)),
        left_out=(*left_out, *_left_out(image, content)),
    )


def _about(exif: bytes) -> tuple[Directory, list[str]]:
    """What EXIF says about the picture, and what TIFF does not get of it."""
    reader = DirectoryReader(exif)
    directory = reader.first(_ABOUT)
    for code, tag in directory.tags.items():
        if tag.type == _UTF8:  # of EXIF 3, which readers of TIFF leave out
            directory.tags[code] = Tag(_ASCII, tag.data)
    lost = [f"{name} (not written to TIFF)" for name in _lost(reader)]
    return directory, [*lost, *_without_description_of_file(directory)]


def _exif_of_tiff(content: bytes) -> tuple[bytes, list[str]]:
    """EXIF, as other formats hold it, of the tags of a TIFF file, and what no output gets."""
    reader = DirectoryReader(content)
    directory = _upright(reader.first(_ABOUT))
    lost = [*_lost(reader), *_without_description_of_file(directory)]
    return exif_block(directory) if directory else b"", lost


def _without_description_of_file(directory: Directory) -> list[str]:
    """Take out a description that is none of the picture, and return its name if it says anything."""
    description = directory.tags.get(_DESCRIPTION)
    name = _of_file(description.data) if description else None
    if name is not None:
        del directory.tags[_DESCRIPTION]
    return [name] if name else []


def _of_file(description: bytes) -> str | None:
    """Name of a description of a file by its shape, which another does not have; None for one of a picture."""
    if description.startswith(b'{"shape":'):  # tifffile's, of nothing else
        return ""
    if description.startswith(b"ImageJ="):
        return "the description for ImageJ"
    return "OME-XML" if b"<OME" in description[:2000] else None


def _left_out(image: Image.Image, content: bytes) -> Iterator[str]:
    """What else a file says that no output gets."""
    comment = image.info.get("comment")
    if comment and not (isinstance(comment, bytes) and comment.startswith(_OF_ENCODER)):
        yield "a comment"
    resources = image.info.get("photoshop")
    if isinstance(resources, dict) and _PHOTOSHOP_IPTC in resources:
        yield "IPTC"
    texts = (content[start : start + len(_XMP_CHUNK)] for name, start, _ in _chunks(content) if name in _TEXT_CHUNKS)
    if any(text != _XMP_CHUNK for text in texts):
        yield "text chunks"


def _checked_dpi(dpi: object) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in dpi)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across <= _MOST_DPI and 1 <= down <= _MOST_DPI else None


def _upright_exif(exif: bytes) -> tuple[bytes, Directory, list[str]]:
    """EXIF for a picture of another orientation and size: without these, and without the thumbnail.

    Damaged EXIF is written anew as far as it goes: of tags that claim more than there is, other programs, and Pillow,
    would copy gigabytes.

    Returns:
        EXIF, empty if there is none; what was read of it; and what is lost.
    """
    data = exif.removeprefix(_PREFIX)
    if not data.strip(b"\0"):
        return b"", Directory(), []
    try:
        reader = DirectoryReader(data)
    except ValueError:
        return b"", Directory(), ["damaged EXIF"]
    directory = _upright(reader.first())
    if not directory:
        return b"", directory, _lost(reader)
    if not (reader.is_damaged or reader.is_big):
        with suppress(struct.error):  # directories that overlap
            return without_tags(data, {_ORIENTATION}, _SIDES), directory, []
    return exif_block(directory), directory, _lost(reader)


def _upright(directory: Directory) -> Directory:
    """Without what is not true of another picture; the same object."""
    directory.tags.pop(_ORIENTATION, None)
    if camera := directory.parts.get(CAMERA):
        for code in _SIDES:
            camera.tags.pop(code, None)
        if not camera:
            del directory.parts[CAMERA]
    return directory


def _lost(reader: DirectoryReader) -> list[str]:
    """What was left out on purpose or because it is damaged, in a few words each."""
    names = {MAKER_NOTE: "maker notes of EXIF", _IPTC: "IPTC", _PHOTOSHOP: "Photoshop's data"}
    names |= dict.fromkeys(_GEOREFERENCE, "georeference")
    others = reader.unkept - names.keys() - _STRUCTURE
    lost = list(dict.fromkeys(name for code, name in names.items() if code in reader.unkept))
    lost += ["other tags"] if others else []
    return [*lost, "damaged tags of EXIF"] if reader.is_damaged else lost


def _dpi_of(directory: Directory) -> tuple[float, float] | None:
    """The resolution that EXIF says."""
    tags = [directory.tags.get(code) for code in _RESOLUTION]
    if not all(tag and tag.type == _RATIONAL and len(tag.data) == 8 for tag in tags):
        return None
    across, down = (struct.unpack("<LL", tag.data) for tag in tags if tag)
    unit = directory.tags.get(_UNIT, Tag(_SHORT, b"\2\0")).data[:1]
    factor = {b"\2": 1, b"\3": 2.54}.get(unit)
    if factor is None or not across[1] or not down[1]:
        return None
    return across[0] / across[1] * factor, down[0] / down[1] * factor


def _colour_tags(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The colour tags of a PNG file, each once."""
    seen = set[bytes]()
    for name, start, length in _chunks(content):
        if name == b"IDAT":
            return
        if _COLOUR_TAGS.get(name) == length and name not in seen:
            seen.add(name)
            yield name, content[start : start + length]


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, and place and length of the content, of each chunk of a PNG file; none of another file."""
    start = len(_PNG_HEAD)
    while content.startswith(_PNG_HEAD) and start + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, start)
        yield name, start + 8, length
        start += 12 + length
