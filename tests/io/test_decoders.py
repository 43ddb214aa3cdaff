"""Compared with Pillow's `exif_transpose` and `n_frames`."""

import io
import math
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sr.io.decoders import has_several_frames, note_of_frames, open_decoder, remaining_orientation, upright
from sr.io.pictures import read_picture
from tests.support.images import photograph

ORIENTATION = 0x0112
PHOTO = photograph(10, 14)


def exif_of(orientation: int, order: str = ">") -> bytes:
    exif = Image.Exif()
    exif.endian = order
    exif[ORIENTATION] = orientation
    exif[0x010F] = "a camera"
    return exif.tobytes()


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    PHOTO.save(file, kind, **options)
    return file.getvalue()


def tiff(orientation: int, **options: object) -> bytes:
    return encoded("TIFF", tiffinfo={ORIENTATION: orientation}, **options)


def png_with_exif_last(orientation: int) -> bytes:
    content, data = encoded("PNG"), exif_of(orientation).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    return content[:-12] + chunk + content[-12:]


def png_by_imagemagick(orientation: int) -> bytes:
    data = exif_of(orientation)
    text = PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(data):8}\n{data.hex()}\n", zip=True)
    return encoded("PNG", pnginfo=text)


def jpeg_with_xmp(orientation: int) -> bytes:
    return encoded("JPEG", xmp=f'<x tiff:Orientation="{orientation}"/>'.encode())


def png_with_xmp(orientation: int) -> bytes:
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", f"<tiff:Orientation>{orientation}</tiff:Orientation>")
    return encoded("PNG", pnginfo=text)


TRANSPOSITIONS = {  # as Pillow's `exif_transpose` applies them; its early versions ignore XMP in some formats
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

FILES: dict[str, Callable[[int], bytes]] = {
    "jpeg": lambda orientation: encoded("JPEG", exif=exif_of(orientation)),
    "jpeg, little-endian": lambda orientation: encoded("JPEG", exif=exif_of(orientation, "<")),
    "jpeg, xmp": jpeg_with_xmp,
    "png": lambda orientation: encoded("PNG", exif=exif_of(orientation)),
    "png, xmp": png_with_xmp,
    "png, exif last": png_with_exif_last,
    "png, by ImageMagick": png_by_imagemagick,
    "webp": lambda orientation: encoded("WEBP", exif=exif_of(orientation), lossless=True),
    "tiff": tiff,
    "tiff, xmp": lambda orientation: encoded("TIFF", tiffinfo={700: f'<x tiff:Orientation="{orientation}"/>'.encode()}),
    "tiff, compressed": lambda orientation: tiff(orientation, compression="tiff_lzw"),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", FILES)
def test_orientation_is_applied_as_by_pillow(name: str, orientation: int) -> None:
    content = FILES[name](orientation)
    with open_decoder(io.BytesIO(content)) as image:
        image.load()
        pixels = upright(np.asarray(image), remaining_orientation(image))
    unturned = Image.open(io.BytesIO(FILES[name](1)))
    expected = np.asarray(unturned.transpose(TRANSPOSITIONS[orientation]) if orientation > 1 else unturned)
    assert np.array_equal(pixels, expected)
    assert pixels.shape == ((14, 10, 3) if orientation > 4 else (10, 14, 3))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5, 3), (5, 1, 3)])
def test_a_rotated_image_of_one_row_or_column_becomes_a_tensor(orientation: int, shape: tuple[int, ...]) -> None:
    pixels = np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)
    tensor = torch.from_numpy(upright(pixels, orientation))
    assert tensor.shape == (shape if orientation < 5 else (shape[1], shape[0], 3))


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"II*\0", exif_of(6)[:20], exif_of(9), b"II*\0\xff\xff\xff\xff"])
def test_exif_without_a_usable_orientation_leaves_the_image_unchanged(exif: bytes) -> None:
    image = Image.new("RGB", (2, 3))
    image.info["exif"] = exif
    assert remaining_orientation(image) == 1


@pytest.mark.parametrize("kind", ["MPO", "GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames_are_detected(kind: str) -> None:
    second = photograph(10, 14, 2)
    content = encoded(kind, save_all=True, append_images=[second])
    with open_decoder(io.BytesIO(content)) as image:
        assert getattr(Image.open(io.BytesIO(content)), "n_frames") == 2  # noqa: B009
        assert has_several_frames(image)
        assert image.size == (14, 10)
        name = {"MPO": "pictures", "TIFF": "pages"}.get(kind, "frames")
        assert note_of_frames(image) == f"the first of 2 {name}"
    with open_decoder(io.BytesIO(encoded(kind))) as image:
        assert not has_several_frames(image)
        assert note_of_frames(image) == ""


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg"])  # read here, and by Pillow
def test_pages_are_counted(compression: str) -> None:
    content = encoded("TIFF", save_all=True, append_images=[photograph(10, 14, 2)] * 2, compression=compression)
    assert read_picture(content).note == "the first of 3 pages"


def test_frames_that_cannot_be_counted_are_said_to_be_several() -> None:
    class Damaged(Image.Image):
        is_animated = True

        @property
        def n_frames(self) -> int:
            raise OSError("damaged")

    assert note_of_frames(Damaged()) == "the first of several frames"


def test_a_gain_map_is_not_a_second_frame() -> None:
    second = photograph(10, 14, 2)
    content = encoded("MPO", save_all=True, append_images=[second], xmp=b'<x hdrgm:Version="1.0"/>')
    with open_decoder(io.BytesIO(content)) as image:
        assert "mp" in image.info
        assert not has_several_frames(image)


def test_a_tiff_of_many_strips_is_read_correctly() -> None:
    tall = photograph(3000, 8)
    file = io.BytesIO()
    tifffile.imwrite(file, np.asarray(tall), rowsperstrip=1, photometric="rgb")
    with open_decoder(io.BytesIO(file.getvalue())) as image:
        assert np.array_equal(np.asarray(image), np.asarray(tall))
