"""Small image files in every format that is read, and ways to damage them beyond flipping bits."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
import tifffile
from PIL import Image

SIDES = (23, 37)  # height and width: odd, more than two blocks of a JPEG
_VALUES = (0, 1, 2, 7, 8, 15, 16, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_HUGE = (0, 1, 4096, 16_383, 16_384, 40_000, 65_535, 65_536, 10**6, 2**31 - 1, 2**31, 2**32 - 1)
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"


@lru_cache
def whole_images() -> dict[str, bytes]:
    """Contents of files that can be read, by format."""
    values = np.random.default_rng(0)
    coarse = Image.fromarray(values.integers(0, 256, (4, 5, 3), np.uint8))
    rgb = coarse.resize(SIDES[::-1], Image.Resampling.BICUBIC)
    rgba = rgb.copy()
    rgba.putalpha(rgb.getchannel(0))
    palette, gray = rgb.quantize(16), rgb.convert("L")
    deep = np.asarray(rgb).astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"

    def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    def tiff(pixels: Any, **options: Any) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, **options)
        return file.getvalue()

    more: dict[str, Any] = {"save_all": True, "append_images": [gray.convert("RGB"), rgb]}
    profile = bytes(range(256)) * 4
    whole = {
        "png": saved(rgb, "PNG", exif=exif, icc_profile=profile),
        "png alpha": saved(rgba, "PNG"),
        "png palette": saved(palette, "PNG", transparency=3),
        "png gray alpha": saved(rgba.convert("LA"), "PNG"),
        "png 1 bit": saved(gray.convert("1"), "PNG"),
        "png 16-bit gray": saved(Image.fromarray(deep[..., 0]), "PNG"),
        "png 16-bit": _deep_png(deep),
        "png animated": saved(rgb, "PNG", **more),
        "jpeg": saved(rgb, "JPEG", exif=exif, icc_profile=profile, comment=b"a comment"),
        "jpeg progressive": saved(rgb, "JPEG", progressive=True, quality=95, subsampling=0),
        "jpeg gray": saved(gray, "JPEG"),
        "jpeg cmyk": saved(rgb.convert("CMYK"), "JPEG"),
        "jpeg restarts": saved(rgb, "JPEG", restart_marker_blocks=1),
        "webp": saved(rgb, "WEBP", exif=exif.tobytes(), icc_profile=profile),
        "webp lossless": saved(rgba, "WEBP", lossless=True),
        "webp animated": saved(rgb, "WEBP", **more),
        "gif": saved(palette, "GIF"),
        "gif interlaced": saved(palette, "GIF", interlace=1, transparency=2),
        "gif animated": saved(palette, "GIF", save_all=True, append_images=[gray.quantize(8)], comment=b"hello"),
        "bmp": saved(rgb, "BMP"),
        "bmp palette": saved(palette, "BMP"),
        "bmp 1 bit": saved(gray.convert("1"), "BMP"),
        "tiff": saved(rgb, "TIFF", exif=exif, icc_profile=profile),
        "tiff pages": saved(rgb, "TIFF", **more),
        "tiff 16-bit": tiff(deep, photometric="rgb", compression="zlib", predictor=True),
        "tiff 16-bit planes": tiff(deep.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        "tiff tiles": tiff(np.asarray(rgb), photometric="rgb", tile=(16, 16), compression="zlib"),
        "tiff big": tiff(np.asarray(rgb), photometric="rgb", bigtiff=True),
        "tiff other order": tiff(np.asarray(rgb), photometric="rgb", byteorder=">"),
        "tiff float": tiff(np.asarray(gray, np.float32)),
    }
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg"):
        whole[f"tiff {compression}"] = saved(rgb, "TIFF", compression=compression)
    whole["tiff fax"] = saved(gray.convert("1"), "TIFF", compression="group4")
    return whole


def _deep_png(pixels: np.ndarray[Any, Any]) -> bytes:
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return _PNG_HEAD + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def damaged(whole: dict[str, bytes], draw: random.Random) -> tuple[str, bytes]:
    """Damage one of the files one to three times.

    Returns:
        Its format and the damages, and the damaged content.
    """
    name = draw.choice(list(whole))
    content, damages = whole[name], []
    for _ in range(draw.choice((1, 1, 2, 3))):
        if content.startswith(_PNG_HEAD) and draw.random() < 0.6:
            damage: Callable[..., bytes] = draw.choice((_in_chunk, _move_chunk, _size_in_png))
        else:
            damage = draw.choice((_flip, _flip, _cut, _number, _number, _remove, _repeat, _splice, _size, _insert))
        content = damage(content, draw, whole) or content
        damages.append(damage.__name__.strip("_"))
    return f"{name}: {', '.join(damages)}", content


def _place(content: bytes, draw: random.Random) -> int:
    """A position in a file, as often in its first 100 bytes as in the rest."""
    return draw.randrange(min(len(content), 100) if draw.random() < 0.5 else len(content) or 1) if content else 0


def _flip(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[_place(content, draw)] = draw.choice((0, 255, draw.randrange(256), draw.randrange(256)))
    return bytes(changed)


def _cut(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    return content[: _place(content, draw)]


def _number(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    """Overwrite what may be a length, an offset or a count with a number at the edge of its range."""
    width, order = draw.choice((1, 2, 4, 4, 8)), draw.choice("<>")
    number = draw.choice(_VALUES) & (2 ** (8 * width) - 1)
    at = _place(content, draw)
    data = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[width], number)
    return content[:at] + data + content[at + width :]


def _remove(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    at = _place(content, draw)
    return content[:at] + content[at + draw.randrange(1, 200) :]


def _repeat(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    at, length = _place(content, draw), draw.randrange(1, 200)
    return content[: at + length] + content[at : at + length] * draw.choice((1, 2, 30)) + content[at + length :]


def _insert(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    at = _place(content, draw)
    return content[:at] + draw.randbytes(draw.randrange(1, 64)) + content[at:]


def _splice(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    """Join the beginning of a file and the end of another."""
    other = whole[draw.choice(list(whole))]
    return content[: _place(content, draw)] + other[_place(other, draw) :]


def _size(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    """Overwrite the height or the width, wherever it is stored."""
    side = draw.choice(SIDES)
    forms = [struct.pack(form, value) for form in ("<H", ">H", "<I", ">I") for value in (side, side - 1)]
    places = [(at, form) for form in forms for at in range(len(content) - 3) if content.startswith(form, at)]
    if not places:
        return content
    at, form = draw.choice(places)
    order = "<" if form[0] else ">"
    wide = len(form) == 4
    return (
        content[:at]
        + struct.pack(order + ("I" if wide else "H"), draw.choice(_HUGE) & (2**32 - 1 if wide else 0xFFFF))
        + content[at + len(form) :]
    )


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], len(_PNG_HEAD)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        chunks.append((kind, content[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def _joined(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return _PNG_HEAD + b"".join(_chunk(kind, data) for kind, data in chunks)


def _in_chunk(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    """Damage the content of a chunk and correct its checksum."""
    chunks = _chunks(content)
    if not chunks:
        return content
    at = draw.randrange(len(chunks))
    kind, data = chunks[at]
    damage: Callable[..., bytes] = draw.choice((_flip, _cut, _number, _insert))
    if kind == b"IDAT" and draw.random() < 0.5:  # rows that decompress, but are too few or have wrong filters
        with suppress(zlib.error):
            data = zlib.decompress(data)
        chunks[at] = (kind, zlib.compress(damage(data, draw, {})))
    else:
        chunks[at] = (kind, damage(data, draw, {}))
    return _joined(chunks)


def _move_chunk(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    """Swap, repeat, delete or rename chunks, or insert one that decompresses to a thousand times its size."""
    chunks = _chunks(content)
    if not chunks:
        return content
    first, second = draw.randrange(len(chunks)), draw.randrange(len(chunks))
    bomb = b"name\0\0" + zlib.compress(bytes(2**21))
    match draw.randrange(5):
        case 0:
            chunks[first], chunks[second] = chunks[second], chunks[first]
        case 1:
            chunks.insert(first, chunks[second])
        case 2:
            del chunks[first]
        case 3:
            chunks[first] = (
                draw.choice((b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf")),
                chunks[first][1],
            )
        case 4:
            chunks.insert(first, (draw.choice((b"iCCP", b"zTXt")), bomb))
    return _joined(chunks)


def _size_in_png(content: bytes, draw: random.Random, whole: dict[str, bytes]) -> bytes:
    """Change the size, depth or colour type in the header and correct its checksum."""
    chunks = _chunks(content)
    head = chunks[0][1] if chunks else b""
    if len(head) != 13:
        return content
    values = list(struct.unpack(">IIBBBBB", head))
    field = draw.randrange(7)
    values[field] = draw.choice(_HUGE) if field < 2 else draw.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return _joined([(b"IHDR", struct.pack(">IIBBBBB", *values)), *chunks[1:]])
