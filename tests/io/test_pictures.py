import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from sr.errors import UserError
from sr.io.bounded import Pixels
from sr.io.images import ImageFileError
from sr.io.pictures import WRITABLE, pixels_of, read_picture, write_strips

PROFILE = bytes(range(200))


def noise(channels: int, *, deep: bool = False, size: tuple[int, int] = (50, 31)) -> Pixels:
    random = np.random.default_rng(channels)
    return random.integers(0, 65536 if deep else 256, (*size, channels)).astype(np.uint16 if deep else np.uint8)


def encoded(pixels: Pixels, suffix: str = ".png", cuts: tuple[int, ...] = (), profile: bytes | None = None) -> bytes:
    file = io.BytesIO()
    strips = np.split(pixels, cuts)
    write_strips(file, suffix, strips, pixels.shape, deep=pixels.dtype == np.uint16, profile=profile)
    return file.getvalue()


def pil_encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_formats_keep_channels_bit_depth_and_profile(channels: int, deep: bool, suffix: str) -> None:
    pixels = noise(channels, deep=deep)
    decoded = read_picture(encoded(pixels, suffix, profile=PROFILE))
    if (channels, deep, suffix) == (2, True, ".tif"):  # few programs read gray with alpha of 16 bits: written as RGBA
        pixels = pixels[..., [0, 0, 0, 1]]
    assert decoded.pixels.dtype == pixels.dtype
    assert np.array_equal(decoded.pixels, pixels)
    assert decoded.profile == PROFILE
    assert (decoded.gray, decoded.alpha) == (pixels.shape[2] < 3, pixels.shape[2] in (2, 4))
    assert decoded.note == ""


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pillow_reads_a_png_written_in_strips(channels: int) -> None:
    pixels = noise(channels)
    image = Image.open(io.BytesIO(encoded(pixels, cuts=(1, 20, 49))))
    image.load()
    assert image.mode == ("L", "LA", "RGB", "RGBA")[channels - 1]
    assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_at_any_depth(orientation: int, deep: bool) -> None:
    pixels = noise(3, size=(5, 7))
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = read_picture(pil_encoded(Image.fromarray(pixels), exif=exif)).pixels
    if deep:
        file = encoded(pixels.astype(np.uint16) * 257)
        data = exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
        decoded = read_picture(file[:33] + chunk + file[33:]).pixels
        assert decoded.dtype == np.uint16
        assert np.array_equal(decoded // 257, upright)
    else:
        expected = [pixels, pixels.swapaxes(0, 1)][orientation > 4]
        assert upright.shape == expected.shape


def test_orientation_behind_the_pixels_is_applied_to_16_bits_too() -> None:
    pixels = noise(3, deep=True, size=(5, 7))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    file = encoded(pixels)
    behind, before = (
        read_picture(content).pixels for content in (file[:-12] + chunk + file[-12:], file[:33] + chunk + file[33:])
    )
    assert behind.dtype == np.uint16
    assert behind.shape == (7, 5, 3)
    assert np.array_equal(behind, before)


def test_palettes_and_colour_spaces_become_gray_or_rgb_with_any_alpha() -> None:
    colours = Image.fromarray(noise(3))
    palette = colours.convert("P", palette=Image.Palette.ADAPTIVE)
    assert read_picture(pil_encoded(palette)).pixels.shape[2] == 3
    assert read_picture(pil_encoded(palette, transparency=0)).pixels.shape[2] == 4
    assert read_picture(pil_encoded(Image.fromarray(noise(1)[..., 0]), transparency=7)).pixels.shape[2] == 2
    cmyk = read_picture(pil_encoded(colours.convert("CMYK"), "JPEG", icc_profile=PROFILE))
    assert cmyk.pixels.shape[2] == 3
    assert cmyk.profile is None
    assert "CMYK" in cmyk.note
    assert pixels_of(Image.fromarray(noise(1)[..., 0]).convert("1")).shape[2] == 1


def test_the_first_frame_of_an_animation_is_read_with_a_note() -> None:
    frames = [Image.fromarray(noise(channels)[..., :1].repeat(3, 2)) for channels in (1, 2)]
    picture = read_picture(pil_encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert picture.note == "the first of 2 frames"
    assert np.array_equal(picture.pixels[..., 0], np.asarray(frames[0])[..., 0])


@pytest.mark.parametrize(
    ("suffix", "channels", "deep", "dropped"),
    [
        (".jpg", 4, False, "transparency (JPEG has none)"),
        (".bmp", 3, True, "16 bits (BMP has 8)"),
        (".jpeg", 2, True, "transparency (JPEG has none), 16 bits (JPEG has 8)"),
        (".webp", 4, False, ""),
    ],
)
def test_what_a_format_drops_is_returned(suffix: str, channels: int, deep: bool, dropped: str) -> None:
    file = io.BytesIO()
    pixels = noise(channels, deep=deep)
    assert write_strips(file, suffix, [pixels], pixels.shape, deep=deep) == dropped
    assert read_picture(file.getvalue()).pixels.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_are_written_with_high_quality(suffix: str) -> None:
    rows, columns = np.mgrid[0:64, 0:64]
    smooth = np.stack([rows * 4, columns * 4, (rows + columns) * 2], -1).astype(np.uint8)
    smooth[20:40, 20:40] = (200, 30, 60)
    decoded = read_picture(encoded(smooth, suffix)).pixels
    mse = float(((decoded.astype(float) - smooth) ** 2).mean())
    assert 10 * np.log10(255**2 / mse) > 35  # quality 30 with chroma subsampling: below 30 dB


def test_a_jpeg_has_quality_95_without_chroma_subsampling() -> None:
    image = Image.open(io.BytesIO(encoded(noise(3), ".jpg")))
    assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined] # no channel is subsampled
    # The standard's table (ITU-T T.81, K.1) scaled as the IJG does: at quality 95 to a tenth, rounded.
    assert image.quantization[0][:4] == [2, 1, 1, 2]  # type: ignore[attr-defined] # from 16, 11, 10, 16


@pytest.mark.parametrize(("suffix", "width"), [(".webp", 20_000), (".jpg", 65_600), (".avif", 65_600)])
def test_a_picture_too_large_for_its_format_is_refused(suffix: str, width: int) -> None:
    if suffix not in WRITABLE:
        pytest.skip("this Pillow writes no AVIF")
    with pytest.raises(UserError, match=rf"{width}x8 cannot be written as {WRITABLE[suffix]}: use \.png"):
        encoded(noise(3, size=(8, width)), suffix)


def test_nothing_is_computed_for_a_picture_too_large_for_its_format() -> None:
    strips = iter([noise(3, size=(1, 65_600))])
    with pytest.raises(UserError, match=r"use \.png"):
        write_strips(io.BytesIO(), ".jpg", strips, (1, 65_600, 3))
    assert len(list(strips)) == 1


def test_too_large_pictures_are_refused_by_their_header() -> None:
    content = encoded(noise(1))
    bomb = content[:16] + struct.pack(">II", 100_000, 100_000) + content[24:29]
    bomb += struct.pack(">I", zlib.crc32(bomb[12:])) + content[33:]
    with pytest.raises(ImageFileError, match=r"bomb: has 100000x100000 pixels, more than the 1000 allowed"):
        read_picture(bomb, "bomb", max_pixels=1000)
    assert read_picture(content, max_pixels=50 * 31).pixels.shape == (50, 31, 1)


@pytest.mark.parametrize("options", [{"planarconfig": "separate"}, {"predictor": True, "compression": "zlib"}])
def test_a_sixteen_bit_tiff_is_read_in_any_layout(options: dict[str, Any]) -> None:
    pixels = noise(3, deep=True)
    file = io.BytesIO()
    planes = pixels.transpose(2, 0, 1) if "planarconfig" in options else pixels
    tifffile.imwrite(file, planes, photometric="rgb", **{"planarconfig": "contig", **options})
    assert np.array_equal(read_picture(file.getvalue()).pixels, pixels)


def test_the_orientation_of_a_sixteen_bit_tiff_is_applied() -> None:
    pixels = noise(3, deep=True)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", extratags=[(0x0112, "H", 1, 6, True)])
    assert np.array_equal(read_picture(file.getvalue()).pixels, np.rot90(pixels, -1))


@pytest.mark.parametrize("deep", [False, True])
def test_broken_files_are_refused_in_one_line(tmp_path: Path, deep: bool) -> None:
    intact = encoded(noise(3, deep=deep, size=(80, 80)))
    for number, content in enumerate([b"", b"no image", intact[: len(intact) // 2], intact[:40]]):
        path = tmp_path / f"{number}.png"
        path.write_bytes(content)
        with pytest.raises(
            ImageFileError, match=rf"{number}\.png: cannot be read as an image \(.*\): replace"
        ) as error:
            read_picture(path)
        assert "\n" not in str(error.value)
    with pytest.raises(ImageFileError, match=r"none\.png: cannot be read \(No such file"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(ImageFileError, match="floating-point image"):
        read_picture(pil_encoded(Image.new("F", (4, 4)), "TIFF"))
