"""Small image files in every supported format, and ways to damage them."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import numpy as np
import tifffile
from PIL import Image, features

SIDES = (23, 37)  # height and width: odd, more than two JPEG blocks
_VALUES = (0, 1, 2, 7, 8, 15, 16, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_HUGE = (0, 1, 4096, 16_383, 16_384, 40_000, 65_535, 65_536, 10**6, 2**31 - 1, 2**31, 2**32 - 1)
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"


@lru_cache
def intact_images() -> dict[str, bytes]:
    """Contents of undamaged files, by format."""
    values = np.random.default_rng(0)
    coarse = Image.fromarray(values.integers(0, 256, (4, 5, 3), np.uint8))
    rgb = coarse.resize(SIDES[::-1], Image.Resampling.BICUBIC)
    rgba = rgb.copy()
    rgba.putalpha(rgb.getchannel(0))
    palette, gray = rgb.quantize(16), rgb.convert("L")
    pixels_16_bit = np.asarray(rgb).astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"

    def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    def encode_tiff(pixels: Any, **options: Any) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, **options)
        return file.getvalue()

    animation: dict[str, Any] = {"save_all": True, "append_images": [gray.convert("RGB"), rgb]}
    profile = bytes(range(256)) * 4
    intact = {
        "png": encode(rgb, "PNG", exif=exif, icc_profile=profile),
        "png alpha": encode(rgba, "PNG"),
        "png palette": encode(palette, "PNG", transparency=3),
        "png gray alpha": encode(rgba.convert("LA"), "PNG"),
        "png 1 bit": encode(gray.convert("1"), "PNG"),
        "png 16-bit gray": encode(Image.fromarray(pixels_16_bit[..., 0]), "PNG"),
        "png 16-bit": _png_16_bit(pixels_16_bit),
        "png animated": encode(rgb, "PNG", **animation),
        "jpeg": encode(rgb, "JPEG", exif=exif, icc_profile=profile, comment=b"a comment"),
        "jpeg progressive": encode(rgb, "JPEG", progressive=True, quality=95, subsampling=0),
        "jpeg gray": encode(gray, "JPEG"),
        "jpeg cmyk": encode(rgb.convert("CMYK"), "JPEG"),
        "jpeg restarts": encode(rgb, "JPEG", restart_marker_blocks=1),
        "webp": encode(rgb, "WEBP", exif=exif.tobytes(), icc_profile=profile),
        "webp lossless": encode(rgba, "WEBP", lossless=True),
        "webp animated": encode(rgb, "WEBP", **animation),
        "gif": encode(palette, "GIF"),
        "gif interlaced": encode(palette, "GIF", interlace=1, transparency=2),
        "gif animated": encode(palette, "GIF", save_all=True, append_images=[gray.quantize(8)], comment=b"hello"),
        "bmp": encode(rgb, "BMP"),
        "bmp palette": encode(palette, "BMP"),
        "bmp 1 bit": encode(gray.convert("1"), "BMP"),
        "tiff": encode(rgb, "TIFF", exif=exif, icc_profile=profile),
        "tiff pages": encode(rgb, "TIFF", **animation),
        "tiff 16-bit": encode_tiff(pixels_16_bit, photometric="rgb", compression="zlib", predictor=True),
        "tiff 16-bit planes": encode_tiff(pixels_16_bit.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        "tiff tiles": encode_tiff(np.asarray(rgb), photometric="rgb", tile=(16, 16), compression="zlib"),
        "tiff big": encode_tiff(np.asarray(rgb), photometric="rgb", bigtiff=True),
        "tiff other order": encode_tiff(np.asarray(rgb), photometric="rgb", byteorder=">"),
        "tiff float": encode_tiff(np.asarray(gray, np.float32)),
    }
    intact |= {
        "ppm": encode(rgb, "PPM"),
        "ppm 16-bit": b"P6 37 23 1000\n" + (pixels_16_bit // 66).astype(">u2").tobytes(),
        "ppm plain": b"P3\n# a comment\n37 23 255\n" + " ".join(map(str, np.asarray(rgb).ravel())).encode(),
        "pgm 16-bit": b"P5\n37 23\n65535\n" + pixels_16_bit[..., 0].astype(">u2").tobytes(),
        "pbm": encode(gray.convert("1"), "PPM"),
        "tga": encode(rgba, "TGA"),
        "tga palette": encode(palette, "TGA"),
        "tga packed": encode(rgb, "TGA", compression="tga_rle"),
        "jpeg 2000": encode(rgba, "JPEG2000"),
        "jpeg 2000 16-bit gray": encode(Image.fromarray(pixels_16_bit[..., 0]), "JPEG2000"),
        "jpeg 2000 16-bit": jpeg_2000_by_ffmpeg(pixels_16_bit, "rgb48le"),
    }
    intact |= _of_extras(rgb, rgba, pixels_16_bit, exif)
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        intact[f"tiff {compression}"] = encode(rgb, "TIFF", compression=compression)
    intact["tiff fax"] = encode(gray.convert("1"), "TIFF", compression="group4")
    return intact


def jpeg_2000_by_ffmpeg(pixels: np.ndarray[Any, Any], pixel_format: str) -> bytes:
    """A lossless file of these pixels, in a pixel format of FFmpeg."""
    encoder: Any = av.CodecContext.create("jpeg2000", "w")
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt, encoder.time_base, encoder.options = pixel_format, Fraction(1), {"pred": "dwt53"}
    frame = av.VideoFrame.from_ndarray(pixels, format=pixel_format)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def _of_extras(rgb: Image.Image, rgba: Image.Image, deep: np.ndarray[Any, Any], exif: Image.Exif) -> dict[str, bytes]:
    """Files in the formats for which more has to be installed, as far as it is."""
    files: dict[str, bytes] = {}

    def add(name: str, save: Callable[[io.BytesIO], object]) -> None:
        file = io.BytesIO()
        save(file)
        files[name] = file.getvalue()

    if features.check("avif"):
        add("avif", lambda file: rgba.save(file, "AVIF", exif=exif))
        frames = [rgb.transpose(Image.Transpose.ROTATE_180)]
        add("avif animated", lambda file: rgb.save(file, "AVIF", save_all=True, append_images=frames))
    with suppress(ImportError):
        import pillow_heif

        add("heic", lambda file: pillow_heif.from_pillow(rgba).save(file, exif=exif.tobytes()))
        heic = pillow_heif.from_bytes("RGB;16", rgb.size, deep.tobytes())
        add("heic 10-bit", lambda file: heic.save(file, quality=-1, chroma=444, matrix_coefficients=0))
    with suppress(ImportError):
        import imagecodecs

        files["jxl"] = bytes(imagecodecs.jpegxl_encode(np.asarray(rgba), lossless=True))
        files["jxl lossy"] = bytes(imagecodecs.jpegxl_encode(np.asarray(rgb), distance=2.0))
        files["jxl 16-bit"] = bytes(imagecodecs.jpegxl_encode(deep, lossless=True))
        files["jxl animated"] = bytes(imagecodecs.jpegxl_encode(np.stack([deep, deep[::-1]]), lossless=True))
        if imagecodecs.AVIF.available:
            files["avif 10-bit"] = bytes(imagecodecs.avif_encode(deep >> 6, bitspersample=10))
    return files


def _png_16_bit(pixels: np.ndarray[Any, Any]) -> bytes:
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return _PNG_HEAD + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def damaged(intact: dict[str, bytes], rng: random.Random) -> tuple[str, bytes]:
    """Apply one to three kinds of damage to a randomly chosen file.

    Returns:
        The format with the kinds of damage, and the damaged content.
    """
    name = rng.choice(list(intact))
    content, damages = intact[name], []
    for _ in range(rng.choice((1, 1, 2, 3))):
        if content.startswith(_PNG_HEAD) and rng.random() < 0.6:
            damage: Callable[..., bytes] = rng.choice((_in_chunk, _move_chunk, _size_in_png))
        else:
            damage = rng.choice((_flip, _flip, _cut, _number, _number, _remove, _repeat, _splice, _size, _insert))
        content = damage(content, rng, intact) or content
        damages.append(damage.__name__.strip("_"))
    return f"{name}: {', '.join(damages)}", content


def _position(content: bytes, rng: random.Random) -> int:
    """A random position, half of the time within the first 100 bytes."""
    return rng.randrange(min(len(content), 100) if rng.random() < 0.5 else len(content) or 1) if content else 0


def _flip(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[_position(content, rng)] = rng.choice((0, 255, rng.randrange(256), rng.randrange(256)))
    return bytes(changed)


def _cut(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    return content[: _position(content, rng)]


def _number(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    """Overwrite bytes, possibly a length, offset or count, with a number at the edge of its range."""
    width, order = rng.choice((1, 2, 4, 4, 8)), rng.choice("<>")
    number = rng.choice(_VALUES) & (2 ** (8 * width) - 1)
    start = _position(content, rng)
    data = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[width], number)
    return content[:start] + data + content[start + width :]


def _remove(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    start = _position(content, rng)
    return content[:start] + content[start + rng.randrange(1, 200) :]


def _repeat(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    start, length = _position(content, rng), rng.randrange(1, 200)
    return (
        content[: start + length] + content[start : start + length] * rng.choice((1, 2, 30)) + content[start + length :]
    )


def _insert(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    start = _position(content, rng)
    return content[:start] + rng.randbytes(rng.randrange(1, 64)) + content[start:]


def _splice(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    """Join the beginning of the file to the end of another."""
    other = intact[rng.choice(list(intact))]
    return content[: _position(content, rng)] + other[_position(other, rng) :]


def _size(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    """Overwrite the height or the width, wherever it is stored."""
    side = rng.choice(SIDES)
    forms = [struct.pack(form, value) for form in ("<H", ">H", "<I", ">I") for value in (side, side - 1)]
    occurrences = [
        (start, form) for form in forms for start in range(len(content) - 3) if content.startswith(form, start)
    ]
    if not occurrences:
        return content
    start, form = rng.choice(occurrences)
    order = "<" if form[0] else ">"
    wide = len(form) == 4
    return (
        content[:start]
        + struct.pack(order + ("I" if wide else "H"), rng.choice(_HUGE) & (2**32 - 1 if wide else 0xFFFF))
        + content[start + len(form) :]
    )


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    chunks, start = [], len(_PNG_HEAD)
    while start + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        chunks.append((kind, content[start + 8 : start + 8 + length]))
        start += 12 + length
    return chunks


def _join_chunks(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return _PNG_HEAD + b"".join(_chunk(kind, data) for kind, data in chunks)


def _in_chunk(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    """Damage the content of a chunk and correct its checksum."""
    chunks = _chunks(content)
    if not chunks:
        return content
    index = rng.randrange(len(chunks))
    kind, data = chunks[index]
    damage: Callable[..., bytes] = rng.choice((_flip, _cut, _number, _insert))
    if kind == b"IDAT" and rng.random() < 0.5:  # can be decompressed, but to too few rows or wrong filters
        with suppress(zlib.error):
            data = zlib.decompress(data)
        chunks[index] = (kind, zlib.compress(damage(data, rng, {})))
    else:
        chunks[index] = (kind, damage(data, rng, {}))
    return _join_chunks(chunks)


def _move_chunk(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    """Swap, repeat, delete or rename chunks, or insert a zip bomb."""
    chunks = _chunks(content)
    if not chunks:
        return content
    first, second = rng.randrange(len(chunks)), rng.randrange(len(chunks))
    bomb = b"name\0\0" + zlib.compress(bytes(2**21))
    match rng.randrange(5):
        case 0:
            chunks[first], chunks[second] = chunks[second], chunks[first]
        case 1:
            chunks.insert(first, chunks[second])
        case 2:
            del chunks[first]
        case 3:
            chunks[first] = (
                rng.choice((b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf")),
                chunks[first][1],
            )
        case 4:
            chunks.insert(first, (rng.choice((b"iCCP", b"zTXt")), bomb))
    return _join_chunks(chunks)


def _size_in_png(content: bytes, rng: random.Random, intact: dict[str, bytes]) -> bytes:
    """Change the size, depth or colour type in the header and correct its checksum."""
    chunks = _chunks(content)
    head = chunks[0][1] if chunks else b""
    if len(head) != 13:
        return content
    values = list(struct.unpack(">IIBBBBB", head))
    field = rng.randrange(7)
    values[field] = rng.choice(_HUGE) if field < 2 else rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return _join_chunks([(b"IHDR", struct.pack(">IIBBBBB", *values)), *chunks[1:]])
