"""Kinds of pictures and their depths: what is expected comes from another reader, or was stored without loss."""

import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, features

from sr.io.images import ImageFileError, opened, read_image
from sr.io.pictures import read_picture
from tests.support.damaged_images import jpeg_2000_by_ffmpeg
from tests.support.images import photograph

ORIENTATION = 0x0112
PHOTO = photograph(24, 38)
RGB = np.asarray(PHOTO)
ALPHA = np.linspace(0, 255, 24 * 38).astype(np.uint8).reshape(24, 38, 1)
CHANNELS = {1: RGB[..., :1], 2: np.dstack([RGB[..., :1], ALPHA]), 3: RGB, 4: np.dstack([RGB, ALPHA])}
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow before 11.3 has no AVIF")


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_pillow(channels: int, kind: str, **options: Any) -> bytes:
    return encoded(Image.fromarray(CHANNELS[channels].squeeze(), MODES[channels]), kind, **options)


def deep(channels: int, bits: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Values of so many bits, the lightest and the darkest among them."""
    values: np.ndarray[Any, Any] = (CHANNELS[channels].astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    values[0, 0], values[0, 1] = 2**bits - 1, 0
    return values


def stretched(values: np.ndarray[Any, Any], bits: int) -> np.ndarray[Any, Any]:
    """Expected in 16 bits, in floating point."""
    expected: np.ndarray[Any, Any] = values.astype(np.float64) * 65535 / (2**bits - 1)
    return expected


def by_ffmpeg(content: bytes, pixel_format: str, demuxer: str | None = None) -> np.ndarray[Any, Any]:
    with av.open(io.BytesIO(content), format=demuxer) as container:
        frame = next(container.decode(video=0))  # type: ignore[union-attr]
        assert isinstance(frame, av.VideoFrame)
        pixels: np.ndarray[Any, Any] = frame.to_ndarray(format=pixel_format)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def check_readers(content: bytes, tmp_path: Path, suffix: str) -> np.ndarray[Any, Any]:
    """Read a file as a picture and as data, which have to agree; returns the picture."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    pixels = read_picture(path).pixels
    colours = pixels if pixels.shape[2] in (1, 3) else pixels[..., :-1]
    as_data = read_image(path).permute(1, 2, 0).numpy().astype(int)
    seen = colours / 257 if pixels.dtype == np.uint16 else colours
    assert np.abs(as_data - seen).max() <= 1  # 16-bit colours keep their high byte
    return pixels


@pytest.mark.parametrize("maximum", [255, 100, 65535, 1000])
@pytest.mark.parametrize("channels", [1, 3])
def test_binary_pgm_and_ppm_are_read_as_ffmpeg_reads_them(tmp_path: Path, channels: int, maximum: int) -> None:
    values = CHANNELS[channels].astype(np.uint32) * maximum // 255
    data = values.astype(">u2" if maximum > 255 else np.uint8).tobytes()
    content = b"P%d\n# made by hand\n38 24\n%d\n" % (5 if channels == 1 else 6, maximum) + data
    names = {(1, False): "gray", (3, False): "rgb24", (1, True): "gray16le", (3, True): "rgb48le"}
    expected = by_ffmpeg(content, names[channels, maximum > 255], "ppm_pipe" if channels == 3 else "pgm_pipe")
    pixels = check_readers(content, tmp_path, ".ppm")
    assert pixels.dtype == expected.dtype
    assert np.abs(pixels.astype(int) - expected).max() <= 1  # FFmpeg rounds down


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_plain_netpbm_holds_the_numbers_that_are_written_in_it(tmp_path: Path, kind: int) -> None:
    values = {1: RGB[..., :1] > 127, 2: deep(1, 16), 3: RGB}[kind].astype(int)
    text = "\n".join(f"{value} # {value}" if place % 50 == 0 else str(value) for place, value in enumerate(values.flat))
    content = f"P{kind}\n38 24\n{'' if kind == 1 else values.max()}\n{text}\n".encode()
    expected = 255 * (1 - values) if kind == 1 else values * (65535 if kind == 2 else 255) / values.max()
    assert np.abs(check_readers(content, tmp_path, ".pnm") - expected).max() <= 0.5


def test_a_bitmap_is_read_as_pillow_reads_it(tmp_path: Path) -> None:
    bitmap = PHOTO.convert("1")
    assert np.array_equal(check_readers(encoded(bitmap, "PPM"), tmp_path, ".pbm")[..., 0], np.asarray(bitmap) * 255)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Pf\n1 1\n-1.0\n\0\0\0\0", "is a floating-point image of unknown range: save it with 8 or 16 bits"),
        (b"P7\nWIDTH 1\n", "is a PAM image, which is not read: save it as PNG"),
        (b"P6\n2 2\n255\nabc", "image file is truncated"),
        (b"P3\n1 1\n255\n1 2 x", "image file is truncated or damaged"),
        (b"P6\n90000 90000\n255\nabc", "has 90000x90000 pixels, more than the 200000000 allowed"),
    ],
)
def test_what_is_wrong_with_a_netpbm_file_is_said(content: bytes, message: str) -> None:
    with pytest.raises(ImageFileError, match=f"x: .*{message}"):
        read_picture(content, "x")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tga_is_read_as_ffmpeg_reads_it(tmp_path: Path, channels: int, packed: bool) -> None:
    content = by_pillow(channels, "TGA", **({"compression": "tga_rle"} if packed else {}))
    pixels = check_readers(content, tmp_path, ".tga")
    assert np.array_equal(pixels, CHANNELS[channels])
    if channels != 2:  # FFmpeg takes it for 16-bit colours
        (tmp_path / "a.tga").write_bytes(content)
        with av.open(tmp_path / "a.tga") as container:
            frame = next(container.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        seen = frame.to_ndarray(format={1: "gray", 3: "rgb24", 4: "rgba"}[channels])
        assert np.array_equal(pixels.squeeze(), seen)


def test_alpha_of_zeros_that_a_tga_header_does_not_count_says_nothing(tmp_path: Path) -> None:
    content = bytearray(encoded(Image.fromarray(np.dstack([RGB, 0 * ALPHA])), "TGA"))
    assert not read_picture(bytes(content)).pixels[..., 3].any()
    content[17] &= 0xF0
    assert read_picture(bytes(content)).pixels[..., 3].min() == 255


@pytest.mark.parametrize(("pixel_format", "channels", "bits"), [
    ("gray", 1, 8), ("gray16le", 1, 16), ("rgb24", 3, 8), ("rgb48le", 3, 16), ("rgba", 4, 8), ("rgba64le", 4, 16)
])  # fmt: skip
def test_jpeg_2000_keeps_its_depth(tmp_path: Path, pixel_format: str, channels: int, bits: int) -> None:
    values = CHANNELS[channels] if bits == 8 else deep(channels, bits)
    pixels = check_readers(jpeg_2000_by_ffmpeg(values.squeeze(), pixel_format), tmp_path, ".jp2")
    assert pixels.dtype == values.dtype
    assert np.array_equal(pixels, values)  # also the lightest, which Pillow turns black


@pytest.mark.parametrize("bits", [9, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", ["jp2", "jxl"])
def test_other_depths_are_stretched_to_16_bits(tmp_path: Path, kind: str, channels: int, bits: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs", reason="the extra jxl is not installed")
    values = deep(channels, bits)
    options: dict[str, Any] = {"level": 0, "reversible": True} if kind == "jp2" else {"lossless": True}
    encode = {"jp2": imagecodecs.jpeg2k_encode, "jxl": imagecodecs.jpegxl_encode}[kind]
    pixels = check_readers(encode(values.squeeze(), bitspersample=bits, **options), tmp_path, f".{kind}")
    assert pixels.dtype == np.uint16
    assert np.abs(pixels - stretched(values, bits)).max() < 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_jpeg_xl_of_8_bits_is_read_without_loss(tmp_path: Path, channels: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs", reason="the extra jxl is not installed")
    content = imagecodecs.jpegxl_encode(CHANNELS[channels].squeeze(), lossless=True)
    assert np.array_equal(check_readers(content, tmp_path, ".jxl"), CHANNELS[channels])
    lossy = imagecodecs.jpegxl_encode(CHANNELS[channels].squeeze(), distance=1.0)
    expected = imagecodecs.jpegxl_decode(lossy).reshape(CHANNELS[channels].shape)
    assert np.array_equal(check_readers(lossy, tmp_path, ".jxl"), expected)


@pytest.mark.parametrize(("height", "width"), [(8, 16), (256, 256), (24, 38), (600, 3), (64, 48)])
def test_the_size_in_a_jpeg_xl_header_is_that_of_its_pixels(height: int, width: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs", reason="the extra jxl is not installed")
    content = imagecodecs.jpegxl_encode(np.zeros((height, width, 3), np.uint8))
    with opened(content, "x") as image:
        assert image.size == (width, height)
    with pytest.raises(ImageFileError, match=f"x: has {width}x{height} pixels, more than the 10 allowed"):
        read_picture(content, "x", 10)


def test_floating_point_jpeg_xl_and_several_frames_are_said() -> None:
    imagecodecs = pytest.importorskip("imagecodecs", reason="the extra jxl is not installed")
    with pytest.raises(ImageFileError, match="is a floating-point image of unknown range"):
        read_picture(imagecodecs.jpegxl_encode(np.zeros((4, 4, 3), np.float32), lossless=True))
    frames = np.stack([RGB, RGB[::-1]])
    picture = read_picture(imagecodecs.jpegxl_encode(frames, lossless=True))
    assert np.array_equal(picture.pixels, RGB)
    assert picture.note == "the first of several frames"


@needs_avif
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_avif_is_read_as_ffmpeg_reads_it(tmp_path: Path, subsampling: str) -> None:
    smooth = PHOTO.resize((76, 48), Image.Resampling.BICUBIC)
    content = encoded(smooth, "AVIF", quality=100, subsampling=subsampling)
    pixels = check_readers(content, tmp_path, ".avif").astype(int)
    if subsampling == "4:4:4":
        assert np.abs(pixels - by_ffmpeg(content, "rgb24")).max() <= 3
    else:  # they enlarge chroma differently
        luma = np.asarray(Image.fromarray(pixels.astype(np.uint8)).convert("L")).astype(int)
        assert np.abs(luma - by_ffmpeg(content, "gray")[..., 0]).mean() < 3


@needs_avif
def test_alpha_and_the_lost_depth_of_avif_are_not_passed_over(tmp_path: Path) -> None:
    pixels = check_readers(by_pillow(4, "AVIF", quality=100), tmp_path, ".avif")
    assert np.abs(pixels[..., 3].astype(int) - ALPHA[..., 0]).max() <= 2
    imagecodecs = pytest.importorskip("imagecodecs", reason="the extra jxl is not installed")
    content = imagecodecs.avif_encode(deep(3, 10), bitspersample=10, level=100)
    picture = read_picture(content)
    assert picture.pixels.itemsize == 1
    assert picture.note == "10 or 12 bits: 8 are read"


@pytest.mark.parametrize("depth", [8, 10])
def test_heic_is_read_as_ffmpeg_reads_it(tmp_path: Path, depth: int) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    smooth = np.asarray(PHOTO.resize((96, 64), Image.Resampling.BICUBIC))
    values = smooth if depth == 8 else (smooth.astype(np.uint16) * 257)
    image = pillow_heif.from_bytes("RGB" if depth == 8 else "RGB;16", (96, 64), values.tobytes())
    file = io.BytesIO()
    image.save(file, quality=-1, chroma=444)
    pixels = check_readers(file.getvalue(), tmp_path, ".heic")
    assert pixels.dtype == values.dtype
    expected = by_ffmpeg(file.getvalue(), "rgb24" if depth == 8 else "rgb48le")
    assert np.abs(pixels.astype(int) - expected).max() <= (3 if depth == 8 else 3 * 257)
    assert np.abs(pixels.astype(int) - values).max() <= (6 if depth == 8 else 2 * 257)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [pytest.param("AVIF", marks=needs_avif), "HEIF"])
def test_turned_pictures_are_turned_once(tmp_path: Path, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    if kind == "HEIF":
        pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
        file = io.BytesIO()
        pillow_heif.from_pillow(PHOTO).save(file, quality=100, chroma=444, exif=exif.tobytes())
        content = file.getvalue()
        heif_image = pillow_heif.read_heif(content)
        expected = heif_image.to_pillow()
    else:
        content = encoded(PHOTO, kind, quality=100, subsampling="4:4:4", exif=exif)
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    picture = read_picture(content)
    assert np.array_equal(picture.pixels, np.asarray(expected))
    assert picture.metadata.exif.find(struct.pack(">HHLH", ORIENTATION, 3, 1, orientation)) in (-1, 10)


@pytest.mark.parametrize("name", ["pillow_heif", "imagecodecs", "sr.io.formats.avif"])
def test_a_package_that_is_missing_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    heads: dict[str, tuple[bytes, str]] = {
        "pillow_heif": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", r"pip install 'sr-compare\[heif\]'"),
        "imagecodecs": (b"\xff\x0a\0\0", r"pip install 'sr-compare\[jxl\]'"),
        "sr.io.formats.avif": (
            b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
            "is AVIF, which needs Pillow 11.3: pip install -U pillow",
        ),
    }
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImageFileError, match=heads[name][1]):
        read_picture(heads[name][0], "x")


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".apng", ".JP2", ".pnm"])
def test_other_suffixes_are_read_by_content(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    PHOTO.save(path, "PNG")
    assert torch.equal(read_image(path), torch.from_numpy(RGB.copy()).permute(2, 0, 1))


def exif_of(length: int, count: int) -> bytes:
    """EXIF whose tags each claim all of it as their value."""
    tags = b"".join(struct.pack("<HHII", 1000 + number, 1, length - 8, 8) for number in range(count))
    return (b"II*\0" + struct.pack("<IH", 8, count) + tags + bytes(4)).ljust(length, b"\0")


@needs_avif
def test_exif_of_avif_that_claims_more_than_it_holds_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(PHOTO, "AVIF", exif=exif_of(30_000, 2_000))

    def fail(*_: object) -> None:
        raise AssertionError("all tags are read")

    monkeypatch.setattr(Image.Exif, "load", fail)
    assert read_picture(content).pixels.shape == (24, 38, 3)


WRITTEN: dict[str, Callable[[bytes], bool]] = {
    ".jfif": lambda content: content.startswith(b"\xff\xd8"),
    ".avif": lambda content: content[4:12] == b"ftypavif",
}


@pytest.mark.parametrize("suffix", [".jfif", pytest.param(".avif", marks=needs_avif)])
def test_new_formats_are_written(tmp_path: Path, suffix: str) -> None:
    from sr.io.pictures import write_strips

    with (tmp_path / f"a{suffix}").open("wb") as file:
        assert write_strips(file, suffix, [RGB], RGB.shape) == ""
    assert WRITTEN[suffix]((tmp_path / f"a{suffix}").read_bytes())
    assert np.abs(read_picture(tmp_path / f"a{suffix}").pixels.astype(int) - RGB).mean() < 5
