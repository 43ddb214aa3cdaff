"""Decode TIFF: tifffile reads the structure, strips and tiles are unpacked here, never beyond their stated size.

Kinds that no picture of 8 or 16 bits can hold are refused by name. Where Pillow knows the kind too, both readers must
see the same picture.
"""

import io
import struct
import zlib
from typing import IO, Any

import numpy as np
import tifffile
from PIL import Image, TiffImagePlugin

from sr.io.bounded import BoundedReader, Pixels, UnreadKindError
from sr.io.formats.arrays import ArrayImage, divided_by_alpha
from sr.io.second_reader import ORIENTATION, check_same

MOST_CHANNELS = 64

_MAX_TILE = 1 << 24  # pixels; larger tiles are refused unless the image is as large
_ADVICE = "save it with 8 or 16 bits a value"
_FLOATS = "floating-point values"
_FORMATS = {2: "signed integers", 3: _FLOATS, 5: "complex integers", 6: "complex values"}
_NONE, _LZW, _PACKBITS, _DEFLATES = 1, 5, 32773, (8, 32946)
_BY_LIBTIFF = frozenset({_LZW, _PACKBITS, 34925, 50000})  # LZMA and Zstandard only where Pillow's libtiff has them
_BY_PILLOW = frozenset({2, 3, 4, 6, 7})  # fax and JPEG: whole images
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_COLOUR_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4}
_ASSOCIATED, _UNASSOCIATED = 1, 2  # values of ExtraSamples
_DIFFERENCES = 2  # predictor
_UNIT, _XMP, _PROFILE = 296, 700, 34675  # tags
_INCH, _CENTIMETRE = 2, 3  # units of the resolution
_PER_INCH = {_INCH: 1.0, _CENTIMETRE: 2.54}
_REVERSED_BITS = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


class TiffImage(ArrayImage):
    """The first page of a TIFF file."""

    format = "TIFF"

    def _open(self) -> None:
        assert self.fp is not None
        bounded = BoundedReader(self.fp)
        self._structure = tifffile.TiffFile(bounded)
        self._page: Any = self._structure.pages.first
        self.n_frames = len(self._structure.pages)
        self.is_animated = self.n_frames > 1
        bounded.lift()  # of many small strips each reads a whole block: only tags are bounded
        page = self._page
        self._size = (int(page.imagewidth), int(page.imagelength))
        self.is_deep = page.bitspersample == 16
        tag = page.tags.valueof(ORIENTATION)
        self.stored_orientation = tag if isinstance(tag, int) and tag in range(1, 9) else None
        for name, code in (("icc_profile", _PROFILE), ("xmp", _XMP)):
            value = page.tags.valueof(code)
            if isinstance(value, bytes) and value:
                self.info[name] = value
        per_inch = _PER_INCH.get(page.tags.valueof(_UNIT, _INCH))
        if per_inch and {282, 283} <= set(page.tags.keys()):
            across, down = page.tags.valueof(282), page.tags.valueof(283)
            if isinstance(across, tuple) and isinstance(down, tuple) and across[1] and down[1]:
                self.info["dpi"] = (per_inch * across[0] / across[1], per_inch * down[0] / down[1])
        check_kind(page)
        alpha = _alpha(page) is not None
        gray = {(False, False): "L", (True, False): "LA", (False, True): "I;16", (True, True): "LA"}[
            alpha, self.is_deep
        ]
        colour = {_RGB: "RGBA" if alpha else "RGB", _PALETTE: "P", _CMYK: "CMYK"}
        self._mode = colour.get(_kind(page), "1" if page.bitspersample == 1 else gray)

    def pixels(self) -> Pixels:
        """``(H, W, C)``: gray or RGB, with alpha if there is any; uint8, or uint16 for 16 bits; not turned upright."""
        page = self._page
        stored = read_page(page)
        colours = stored[..., : _COLOUR_CHANNELS[_kind(page)]]
        alpha = _alpha(page)
        if page.photometric == _PALETTE:
            colours = (page.colormap.astype(np.uint16) >> 8).astype(np.uint8).T[colours[..., 0]]
        else:
            colours = _full_range(colours, int(page.bitspersample))
            if page.photometric == _WHITE_IS_ZERO:
                colours = ~colours
            elif page.photometric == _CMYK:
                colours = _cmyk_to_rgb(colours)
        if alpha is not None:
            opacity = stored[..., alpha, None]
            if _extra(page)[0] == _ASSOCIATED:
                colours = divided_by_alpha(colours, opacity)
            colours = np.concatenate([colours, opacity], axis=2)
        pixels = np.ascontiguousarray(colours)
        if self.is_deep and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:  # which Pillow misreads
            return pixels
        _check_agreement(pixels, self.fp, int(page.photometric) == _WHITE_IS_ZERO)  # type: ignore[arg-type]
        return pixels


def is_for_pillow(file: IO[bytes]) -> bool:
    """Whether only Pillow can decode it: fax and JPEG compression, YCbCr and CIELAB."""
    file.seek(0)
    with tifffile.TiffFile(BoundedReader(file)) as tiff:
        page: Any = tiff.pages.first
        is_picture = page.bitspersample in (1, 8) and page.sampleformat == 1
        return is_picture and (page.compression in _BY_PILLOW or page.photometric in (_YCBCR, _LAB))


def page_count(file: IO[bytes]) -> int:
    """Number of pages."""
    with tifffile.TiffFile(BoundedReader(file)) as tiff:
        return len(tiff.pages)


def check_kind(page: Any, *, bands: bool = False) -> None:
    """Refuse by name what cannot be read.

    Args:
        page: of tifffile.
        bands: whether any number of channels of any meaning will do.

    Raises:
        UnreadKindError: if it cannot.
    """
    bits, kind = page.bitspersample, _kind(page)
    if (name := _FORMATS.get(int(page.sampleformat))) is not None:
        name = "is a floating-point image" if name == _FLOATS and not bands else f"holds {page.dtype or ''} {name}"
        raise UnreadKindError(f"{name} of unknown range: {_ADVICE}")
    if bits not in ((8, 16) if bands else (1, 2, 4, 8, 16)):
        more = " of unknown range" if isinstance(bits, int) and bits > 16 else ""
        raise UnreadKindError(f"holds values of {bits} bits{more}: {_ADVICE}")
    if page.compression not in (_NONE, *_DEFLATES, *_BY_LIBTIFF):
        name = getattr(page.compression, "name", page.compression)
        raise UnreadKindError(f"has the compression {name}, which is not read: save it uncompressed or with deflate")
    if page.predictor not in (1, _DIFFERENCES):
        raise UnreadKindError(f"has the predictor {page.predictor}, which is not read: save it without")
    if page.imagedepth > 1:
        raise UnreadKindError("holds a volume: save its slices as images")
    if page.samplesperpixel > MOST_CHANNELS:
        raise UnreadKindError(f"has {page.samplesperpixel} channels, more than {MOST_CHANNELS}: split it")
    if bands:
        return
    if kind not in _COLOUR_CHANNELS:
        name = getattr(page.photometric, "name", str(kind))
        raise UnreadKindError(f"has the colour space {name}, which is not read: save it as RGB")
    colours, samples = _COLOUR_CHANNELS[kind], page.samplesperpixel
    if samples < colours:
        raise ValueError("its headers contradict each other")
    if colours == 1 and samples > 1 and not (samples == 2 and (not _extra(page) or _extra(page)[0])):
        raise UnreadKindError(f"holds {samples} bands, not a picture: save it as gray or RGB")
    if kind == _PALETTE and (page.colormap is None or page.colormap.shape != (3, 2**bits)):
        raise ValueError("its palette is damaged")


def read_page(page: Any) -> Pixels:
    """The samples of a page as they are stored, ``(H, W, C)`` of uint8 (below 8 bits too) or uint16.

    Raises:
        Exception: of any kind, if it is damaged.
    """
    sizes = [int(size) for size in page.databytecounts]
    handle = page.parent.filehandle
    if sum(sizes) > 2 * handle.size + (1 << 16):
        raise ValueError("its strips claim more than the file holds")
    tile = int(page.tilewidth) * int(page.tilelength) if page.is_tiled else 0
    if tile > max(_MAX_TILE, 4 * int(page.imagewidth) * int(page.imagelength)):
        raise ValueError("its tiles are larger than its image")
    planes, _, height, width, samples = page.shaped
    rows, columns = _rows(page), int(page.tilewidth) if page.is_tiled else width
    across = -(-width // columns)
    in_plane = -(-height // rows) * across
    if len(sizes) < planes * in_plane:
        raise ValueError("strips or tiles are missing")
    stored = np.empty((planes, height, width, samples), np.uint16 if page.bitspersample == 16 else np.uint8)
    for index in range(planes * in_plane):
        plane, place = divmod(index, in_plane)
        top, left = place // across * rows, place % across * columns
        handle.seek(page.dataoffsets[index])
        packed = handle.read(sizes[index])
        part = stored[plane, top : top + rows, left : left + columns]
        part[...] = _segment(page, packed, (rows if page.is_tiled else len(part), columns, samples))[
            : part.shape[0], : part.shape[1]
        ]
    return stored[0] if planes == 1 else stored[..., 0].transpose(1, 2, 0)


def _segment(page: Any, packed: bytes, shape: tuple[int, int, int]) -> Pixels:
    """Unpack a strip or tile of this shape, ``(rows, columns, samples)``."""
    bits = int(page.bitspersample)
    if int(page.fillorder) == 2:
        packed = packed.translate(_REVERSED_BITS)
    row_bytes = -(-shape[1] * shape[2] * bits // 8)
    data = np.frombuffer(_unpacked(packed, int(page.compression), shape[0], row_bytes), np.uint8)
    if bits < 8:
        fields = np.unpackbits(data).reshape(shape[0], -1, bits)
        values: Any = np.packbits(fields, axis=2)[..., 0] >> (8 - bits)
        small: Pixels = values[:, : shape[1] * shape[2]].reshape(shape)
        return small
    samples: Pixels = data.view(f"{page.parent.byteorder}u{bits // 8}").reshape(shape)
    if int(page.predictor) == _DIFFERENCES:
        sums: Any = np.cumsum(samples, axis=1, dtype=np.uint16 if bits == 16 else np.uint8)
        samples = sums
    return samples


def _rows(page: Any) -> int:
    """Rows of a tile or of a strip that is not the last."""
    return int(page.tilelength) if page.is_tiled else min(int(page.rowsperstrip), int(page.imagelength))


def _unpacked(packed: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """The bytes of a strip or tile, never more than it should have."""
    size = rows * row_bytes
    if compression == _NONE:
        data = packed[:size]
    elif compression in _DEFLATES:
        data = zlib.decompressobj().decompress(packed, size)
    else:
        data = _by_libtiff(packed, compression, rows, row_bytes)
    if len(data) < size:
        raise ValueError("image file is truncated")
    return data


def _by_libtiff(packed: bytes, compression: int, rows: int, row_bytes: int) -> bytes:
    """Unpack by Pillow's libtiff: these bytes as the strip of a gray image of 8 bits."""
    offset = 8 + 2 + 9 * 12 + 4
    values = {256: row_bytes, 257: rows, 258: 8, 259: compression, 262: 1, 273: offset, 277: 1, 278: rows}
    tags = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in (values | {279: len(packed)}).items()]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(tags) + bytes(4)
    with TiffImagePlugin.TiffImageFile(io.BytesIO(head + packed)) as image:
        image.load()
        return image.tobytes()


def _kind(page: Any) -> int:
    """The colour space; three bands without a meaning, as in files of mapping programs, are red, green and blue."""
    is_bare = int(page.photometric) == _BLACK_IS_ZERO and page.samplesperpixel == _COLOUR_CHANNELS[_RGB]
    return _RGB if is_bare and not {_ASSOCIATED, _UNASSOCIATED} & {*_extra(page)} else int(page.photometric)


def _extra(page: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in page.extrasamples or ())


def _alpha(page: Any) -> int | None:
    """Index of the sample that is transparency; without a word on what a fourth, or second, sample is, it is that."""
    colours = _COLOUR_CHANNELS[_kind(page)]
    extra = page.samplesperpixel - colours
    meaning = _extra(page)
    has_alpha = meaning[0] in (_ASSOCIATED, _UNASSOCIATED) if meaning else extra == 1
    return colours if extra and has_alpha and page.photometric not in (_PALETTE, _CMYK) else None


def _full_range(samples: Pixels, bits: int) -> Pixels:
    """Values of fewer than 8 bits, stretched to 8."""
    return samples if bits >= 8 else samples.astype(np.uint8) * np.uint8(255 // (2**bits - 1))


def _cmyk_to_rgb(inks: Pixels) -> Pixels:
    """As Pillow converts, without a profile: what an ink leaves of what black leaves."""
    most = int(np.iinfo(inks.dtype).max)
    if most == 255:
        image = Image.frombytes("CMYK", (inks.shape[1], inks.shape[0]), np.ascontiguousarray(inks).tobytes())
        return np.asarray(image.convert("RGB"))
    left = most - inks.astype(np.uint32)
    rgb: Pixels = ((left[..., :3] * left[..., 3:] + most // 2) // most).astype(np.uint16)
    return rgb


def _check_agreement(pixels: Pixels, file: IO[bytes], white_is_zero: bool) -> None:
    """Compare with what Pillow sees, where it knows the kind.

    Raises:
        ValueError: if the two differ.
    """
    file.seek(0)
    try:
        other = TiffImagePlugin.TiffImageFile(BoundedReader(file))
    except Exception:  # a kind that Pillow does not know
        return
    check_same(pixels, other, inverted=white_is_zero and other.mode.startswith("I;16"))
