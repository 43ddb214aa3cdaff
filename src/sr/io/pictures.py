"""Read and write images with 16 bits, alpha, gray and colour profiles."""

import io
import math
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, features

from sr.errors import UserError
from sr.io.bounded import Pixels
from sr.io.decoders import note_of_frames, remaining_orientation, upright
from sr.io.directories import Directory, add_to_tiff
from sr.io.formats.arrays import ArrayImage
from sr.io.formats.ffmpeg import decode_deep
from sr.io.images import MAX_PIXELS, SIXTEEN_BIT_MODES, ImageFileError, note_of, opened, regular_file
from sr.io.metadata import Metadata, metadata_of
from sr.io.second_reader import check_same

_NOTHING = Metadata()
WRITABLE = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    **({".avif": "AVIF"} if features.check("avif") else {}),  # Pillow 11.3 or later
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}  # of videos

HAVE_QUALITY = frozenset({"JPEG", "WEBP", "AVIF"})
_NO_ALPHA = frozenset({"JPEG", "BMP"})
_SIXTEEN_BIT = frozenset({"PNG", "TIFF"})
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "TIFF": {"compression": "tiff_lzw"},
}

_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}  # pixels: JPEG_MAX_DIMENSION of libjpeg, WEBP_MAX_DIMENSION of libwebp

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # by number of channels
_PNG_UP = 2  # filter type: difference from the row above


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: ``(H, W, C)``, uint8 or uint16: gray, gray and alpha, RGB, or RGB and alpha; or as many bands as a
            model was trained for.
        profile: ICC colour profile, unchanged.
        note: what was lost in reading the file, in a few words; empty if nothing.
        has_bands: whether no channel is transparency.
        metadata: what else the file says.
    """

    pixels: Pixels
    profile: bytes | None = None
    note: str = ""
    has_bands: bool = False
    metadata: Metadata = _NOTHING

    @property
    def gray(self) -> bool:
        """Whether it is gray."""
        return self.channels < 3

    @property
    def alpha(self) -> bool:
        """Whether its last channel is transparency."""
        return self.channels in (2, 4)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.pixels.shape[2])


def read_picture(
    source: Path | bytes, name: str | None = None, max_pixels: int = MAX_PIXELS, advice: str = ""
) -> Picture:
    """Decode a file, upright; the first frame of an animation.

    Palettes are looked up, CMYK and other colour spaces are converted to RGB, PNG and TIFF keep 16 bits.

    Args:
        source: a path, or the file's content.
        name: name of the image in errors; defaults to the path.
        max_pixels: refuse larger images before decoding them.
        advice: text added to the error for an image that is too large.

    Raises:
        ImageFileError: if it is not an image, truncated, too large, or floating point.
    """
    name = name or (str(source) if isinstance(source, Path) else "the picture")
    if isinstance(source, Path):
        with regular_file(source, name) as file:
            source = file.read()
    with opened(source, name, max_pixels, advice) as image:
        note, profile = note_of(image), image.info.get("icc_profile")
        if image.mode in ("CMYK", "LAB"):
            profile, note = None, f"{image.mode}: converted to RGB without its profile"
        pixels = image.pixels() if isinstance(image, ArrayImage) else _read_sixteen_bits(source, image)
        if pixels is None:
            image.load()
            pixels = pixels_of(image, name)
        pixels = upright(pixels, remaining_orientation(image))
        metadata = metadata_of(image, source)
        notes = [note_of_frames(image), note]  # last: counting frames may leave the first
    return Picture(pixels, profile, ", ".join(filter(None, notes)), metadata=metadata)


def _read_sixteen_bits(content: bytes, file: Image.Image) -> Pixels | None:
    """Pixels of a colour PNG with 16 bits, of which Pillow would keep 8; None for other images."""
    if file.format != "PNG" or content[24:26] not in (b"\x10\x02", b"\x10\x04", b"\x10\x06"):
        return None
    pixels = decode_deep(content, "png_pipe", file.size)
    check_same(pixels, file)
    return pixels


def pixels_of(image: Image.Image, name: str = "the image") -> Pixels:
    """Pixels ``(H, W, C)`` of a Pillow image; palettes and colour spaces become RGB, 16-bit gray stays so.

    Raises:
        ImageFileError: for a floating-point image.
    """
    if image.mode == "F":
        raise ImageFileError(f"{name}: is a floating-point image of unknown range: save it with 8 or 16 bits")
    if image.mode in SIXTEEN_BIT_MODES:
        return np.asarray(image).clip(0, 65535).astype(np.uint16)[..., None]
    if image.mode in ("1", "L", "LA", "La"):
        mode = "LA" if image.mode in ("LA", "La") or "transparency" in image.info else "L"
    else:
        mode = "RGBA" if image.mode in ("RGBA", "RGBa", "PA") or "transparency" in image.info else "RGB"
    pixels = np.array(image if image.mode == mode else image.convert(mode))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def check_quality(quality: int) -> None:
    """Check the quality of a format that loses something.

    Raises:
        UserError: unless it is from 1 to 100.
    """
    if not 1 <= quality <= 100:
        raise UserError(f"--quality must be from 1 to 100, got {quality}")


def write_strips(
    file: IO[bytes],
    suffix: str,
    strips: Iterable[Pixels],
    shape: tuple[int, int, int],
    *,
    deep: bool = False,
    bands: bool = False,
    profile: bytes | None = None,
    metadata: Metadata = _NOTHING,
    quality: int | None = None,
) -> str:
    """Encode an image from strips of rows; for PNG, only one strip is in memory at a time.

    Args:
        file: written sequentially.
        suffix: selects the format; a key of ``WRITABLE``.
        strips: ``(rows, W, C)``, from top to bottom.
        shape: ``(H, W, C)`` of the whole image.
        deep: whether the strips are uint16 instead of uint8.
        bands: whether no channel is transparency, although there are two or four.
        profile: ICC colour profile.
        metadata: what else to store.
        quality: of the formats in ``HAVE_QUALITY``, 1 to 100; None for the default of each.

    Returns:
        What the format cannot store and was left out, in a few words; empty if nothing.

    Raises:
        UserError: if the format cannot store an image of this size.
    """
    kind = WRITABLE[suffix]
    if (shape[2] > 4 and kind != "TIFF") or (bands and kind not in _SIXTEEN_BIT):
        raise UserError(f"a picture of {shape[2]} channels cannot be written as {kind}: use .tif")
    if max(shape[:2]) > _LONGEST_SIDE.get(kind, math.inf):
        raise UserError(_too_large(kind, shape, bands=bands))
    if kind == "PNG":
        _write_png(file, strips, shape, deep=deep, profile=profile, metadata=metadata)
        return ", ".join(metadata.left_out)
    pixels = np.concatenate(list(strips))
    saved_metadata, lost = metadata.options(kind)
    if shape[2] in (2, 4) and kind in _NO_ALPHA:
        pixels = pixels[..., :-1]
        lost.append(f"transparency ({kind} has none)")
    if deep and kind not in _SIXTEEN_BIT:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        lost.append(f"16 bits ({kind} has 8)")
    tags, lost_tags = metadata.tiff_tags() if kind == "TIFF" else (Directory(), [])

    def save(target: IO[bytes]) -> None:
        if pixels.dtype == np.uint16 or bands or shape[2] > 4:
            _write_tiff(target, pixels, profile, metadata.dpi, bands=bands or shape[2] > 4)
            return
        flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        icc = {"icc_profile": profile} if profile else {}
        chosen = {"quality": quality} if quality is not None and kind in HAVE_QUALITY else {}
        Image.fromarray(flat).save(target, kind, **(_OPTIONS.get(kind, {}) | chosen), **icc, **saved_metadata)

    try:
        if kind == "TIFF":
            _save_tiff(file, save, tags)
        else:
            save(file)
    except (ValueError, OverflowError, RuntimeError, OSError, struct.error) as error:
        if isinstance(error, OSError) and (error.errno or kind != "AVIF"):  # of the disk
            raise
        raise UserError(_too_large(kind, shape, bands=bands)) from error
    return ", ".join([*lost, *lost_tags])


def _too_large(kind: str, shape: tuple[int, int, int], *, bands: bool) -> str:
    advice = "use .png" if shape[2] <= 4 and not bands else "it is too large"
    return f"a picture of {shape[1]}x{shape[0]} cannot be written as {kind}: {advice}"


def _save_tiff(file: IO[bytes], save: Callable[[IO[bytes]], None], tags: Directory) -> None:
    """Save a TIFF, which is not written from beginning to end, and add tags: in memory if the file cannot do that."""
    is_able = file.seekable() and (file.readable() or not tags)
    target = file if is_able else io.BytesIO()
    save(target)
    if tags:
        add_to_tiff(target, tags)
    if isinstance(target, io.BytesIO) and not is_able:
        file.write(target.getbuffer())


def _write_tiff(
    file: IO[bytes], pixels: Pixels, profile: bytes | None, dpi: tuple[float, float] | None, *, bands: bool
) -> None:
    import tifffile

    if pixels.shape[2] == 2 and not bands:  # few programs read 16-bit gray with alpha
        pixels = pixels[..., [0, 0, 0, 1]]
    colours = "rgb" if pixels.shape[2] in (3, 4) and not bands else "minisblack"
    alpha = ["unassalpha"] if pixels.shape[2] == 4 and not bands else None
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    tifffile.imwrite(
        file,
        flat,
        photometric=colours,
        extrasamples=alpha,
        planarconfig="contig",
        compression="zlib",
        iccprofile=profile,
        resolution=dpi,
        resolutionunit="INCH" if dpi else None,
        software=False,
        metadata=None,
    )


def _write_png(
    file: IO[bytes],
    strips: Iterable[Pixels],
    shape: tuple[int, int, int],
    *,
    deep: bool,
    profile: bytes | None,
    metadata: Metadata,
) -> None:
    """Write PNG (W3C specification, third edition), each row as its difference from the one above."""

    def chunk(kind: bytes, data: bytes) -> None:
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

    height, width, channels = shape
    file.write(_PNG_SIGNATURE)
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16 if deep else 8, _PNG_COLOUR_TYPE[channels], 0, 0, 0))
    if profile:
        chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
    for name, data in metadata.png_chunks(profile=bool(profile)):
        chunk(name, data)
    compressor = zlib.compressobj(6)
    row_above = np.zeros((1, width * channels * (2 if deep else 1)), np.uint8)
    for strip in strips:
        rows = np.ascontiguousarray(strip, ">u2" if deep else np.uint8).view(np.uint8).reshape(len(strip), -1)
        filtered = np.full((len(rows), rows.shape[1] + 1), _PNG_UP, np.uint8)
        np.subtract(rows, np.concatenate([row_above, rows[:-1]]), out=filtered[:, 1:])
        row_above = rows[-1:]
        if compressed := compressor.compress(filtered.tobytes()):
            chunk(b"IDAT", compressed)
    chunk(b"IDAT", compressor.flush())
    chunk(b"IEND", b"")
