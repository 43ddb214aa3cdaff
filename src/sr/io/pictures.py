"""Images with everything a file holds besides RGB: 16 bits, alpha, gray, colour profile; read and written in strips."""

import io
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from sr.errors import UserError
from sr.io.decoders import Pixels, has_several_frames, remaining_orientation, upright
from sr.io.images import MAX_PIXELS, SIXTEEN_BIT_MODES, SUFFIXES, ImageFileError, opened, regular_file

READABLE = SUFFIXES | {".gif"}
WRITABLE = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}  # of videos

_NO_ALPHA = frozenset({"JPEG", "BMP"})
_DEEP = frozenset({"PNG", "TIFF"})
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_lzw"},
}

_PADDING = 128  # pixels that FFmpeg may add to a side
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}  # colour type by channels
_PNG_UP = 2  # the filter that stores differences to the row above


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: ``(H, W, C)``, uint8 or uint16: gray, gray and alpha, RGB, or RGB and alpha, for C from 1 to 4.
        profile: ICC colour profile, kept as it is.
        note: what of the file is not in it, in a few words; empty for nothing.
    """

    pixels: Pixels
    profile: bytes | None = None
    note: str = ""

    @property
    def gray(self) -> bool:
        """Whether it has no colours."""
        return self.channels < 3

    @property
    def alpha(self) -> bool:
        """Whether its last channel is transparency."""
        return self.channels in (2, 4)

    @property
    def channels(self) -> int:
        """1 to 4."""
        return int(self.pixels.shape[2])


def read_picture(
    source: Path | bytes, name: str | None = None, max_pixels: int = MAX_PIXELS, advice: str = ""
) -> Picture:
    """Decode a file, upright; of an animation the first frame.

    Palettes are looked up, CMYK and other colour spaces become RGB, PNG and TIFF keep 16 bits.

    Args:
        source: a path, or the file's content.
        name: what errors call it; a path's own by default.
        max_pixels: refuse larger ones before they are decoded.
        advice: what to do about one that is too large.

    Raises:
        ImageFileError: if it is no image, cut off, too large, or floating point.
    """
    name = name or (str(source) if isinstance(source, Path) else "the picture")
    if isinstance(source, Path):
        with regular_file(source, name) as file:
            source = file.read()
    with opened(source, name, max_pixels, advice) as image:
        note = "animation: its first frame" if has_several_frames(image) else ""
        profile = image.info.get("icc_profile")
        if image.mode in ("CMYK", "LAB"):
            profile, note = None, f"{image.mode}: converted to RGB without its profile"
        pixels = _read_sixteen_bits(source, image)
        if pixels is None:
            image.load()
            pixels = pixels_of(image, name)
        pixels = upright(pixels, remaining_orientation(image))
    return Picture(pixels, profile, note)


def _read_sixteen_bits(content: bytes, file: Image.Image) -> Pixels | None:
    """Colours of 16 bits, which Pillow would cut to 8; None where there are none."""
    if file.format == "PNG" and content[24:26] in (b"\x10\x02", b"\x10\x04", b"\x10\x06"):
        demuxer = "png_pipe"
    elif file.format == "TIFF" and file.mode in ("RGB", "RGBA") and set(file.tag_v2.get(258, ())) == {16}:  # type: ignore[attr-defined]
        demuxer = "tiff_pipe"
    else:
        return None
    import av  # only where it is needed: it takes a moment

    with av.open(io.BytesIO(content), format=demuxer) as container:
        most = (file.width + _PADDING) * (file.height + _PADDING)
        container.streams.video[0].codec_context.options = {"max_pixels": str(most)}
        frame = next(container.decode(video=0))  # type: ignore[union-attr]
    gray = frame.format.name.startswith("ya")
    pixels: Any = (frame.reformat(format="rgba64be") if gray else frame).to_ndarray()
    if pixels.dtype != np.uint16 or sorted(pixels.shape[:2]) != sorted(file.size):
        raise ValueError("its parts contradict each other")
    colours: Pixels = pixels[..., 2:] if gray else pixels
    return colours


def pixels_of(image: Image.Image, name: str = "the image") -> Pixels:
    """``(H, W, C)`` of a Pillow image: palettes looked up, other colour spaces as RGB; gray of 16 bits keeps them.

    Raises:
        ImageFileError: for floating point.
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


def write_strips(
    file: IO[bytes],
    suffix: str,
    strips: Iterable[Pixels],
    shape: tuple[int, int, int],
    *,
    deep: bool = False,
    profile: bytes | None = None,
) -> str:
    """Encode a picture that comes in strips of rows; PNG needs memory for one strip only.

    Args:
        file: written to in order.
        suffix: of the format: a key of ``WRITABLE``.
        strips: ``(rows, W, C)`` from the top.
        shape: ``(H, W, C)`` of all of them.
        deep: whether they are uint16, else uint8.
        profile: ICC colour profile.

    Returns:
        What the format cannot hold and was left out, in a few words; empty for nothing.

    Raises:
        UserError: if the format cannot hold a picture of this size.
    """
    kind = WRITABLE[suffix]
    if kind == "PNG":
        _write_png(file, strips, shape, deep=deep, profile=profile)
        return ""
    pixels = np.concatenate(list(strips))
    lost = []
    if shape[2] in (2, 4) and kind in _NO_ALPHA:
        pixels = pixels[..., :-1]
        lost.append(f"transparency ({kind} has none)")
    if deep and kind not in _DEEP:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        lost.append(f"16 bits ({kind} has 8)")
    if pixels.dtype == np.uint16:
        _write_tiff(file, pixels, profile)
    else:
        flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
        icc = {"icc_profile": profile} if profile else {}
        try:
            Image.fromarray(flat).save(file, kind, **_OPTIONS.get(kind, {}), **icc)
        except (ValueError, OverflowError, struct.error) as error:
            raise UserError(f"a picture of {shape[1]}x{shape[0]} cannot be written as {kind}: use .png") from error
    return ", ".join(lost)


def _write_tiff(file: IO[bytes], pixels: Pixels, profile: bytes | None) -> None:
    import tifffile

    if pixels.shape[2] == 2:  # gray of 16 bits with alpha: few programs read it
        pixels = pixels[..., [0, 0, 0, 1]]
    colours = "rgb" if pixels.shape[2] > 2 else "minisblack"
    alpha = ["unassalpha"] if pixels.shape[2] == 4 else None
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    tifffile.imwrite(
        file,
        flat,
        photometric=colours,
        extrasamples=alpha,
        planarconfig="contig",
        compression="zlib",
        iccprofile=profile,
    )


def _write_png(
    file: IO[bytes], strips: Iterable[Pixels], shape: tuple[int, int, int], *, deep: bool, profile: bytes | None
) -> None:
    """PNG as its specification (W3C, third edition) has it, every row stored as its difference to the one above."""

    def chunk(kind: bytes, data: bytes) -> None:
        file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

    height, width, channels = shape
    file.write(_PNG_HEAD)
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16 if deep else 8, _PNG_COLOUR[channels], 0, 0, 0))
    if profile:
        chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
    packer = zlib.compressobj(6)
    above = np.zeros((1, width * channels * (2 if deep else 1)), np.uint8)
    for strip in strips:
        rows = np.ascontiguousarray(strip, ">u2" if deep else np.uint8).view(np.uint8).reshape(len(strip), -1)
        lines = np.full((len(rows), rows.shape[1] + 1), _PNG_UP, np.uint8)
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=lines[:, 1:])
        above = rows[-1:]
        if packed := packer.compress(lines.tobytes()):
            chunk(b"IDAT", packed)
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")
