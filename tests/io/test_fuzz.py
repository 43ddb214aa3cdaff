"""Any file is read as an image or refused in one line; `scripts.campaigns.fuzz_images` tests more."""

import io
import os
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sr.io.images import ImageFileError, image_size, is_gray, read_image
from sr.io.pictures import read_picture
from tests.support.damaged_images import damaged, intact_images

MAX_PIXELS = 1_000_000
settings.register_profile("fuzz", derandomize=True, database=None, deadline=None, max_examples=150)
FUZZ = settings(
    settings.get_profile("fuzz"), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
INTACT = intact_images()


def check(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    for read in (lambda: read_image(path).shape, lambda: read_picture(path, None, MAX_PIXELS).pixels.shape):
        try:
            assert min(read()) > 0
        except ImageFileError as error:
            text = str(error)
        else:
            continue
        assert text.startswith(str(path))
        assert "\n" not in text
    image_size(path)
    is_gray(path)


@pytest.mark.parametrize("name", [name for name in INTACT if name != "tiff float"])
def test_read_image_and_read_picture_agree_on_every_kind_of_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(INTACT[name])
    picture = read_picture(path)
    assert read_image(path).shape[1:] == picture.pixels.shape[:2]
    assert picture.note == {
        "jpeg cmyk": "CMYK: converted to RGB without its profile",
        "avif 10-bit": "10 or 12 bits: 8 are read",
        **dict.fromkeys(("avif animated", "gif animated"), "the first of 2 frames"),
        **dict.fromkeys(("png animated", "webp animated"), "the first of 3 frames"),
        "jxl animated": "the first of several frames",
        "tiff pages": "the first of 3 pages",
    }.get(name, "")


@FUZZ
@given(seed=st.integers(0, 2**32), name=st.sampled_from(list(INTACT)))
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path: Path, seed: int, name: str) -> None:
    content = damaged({name: INTACT[name]}, random.Random(seed))[1]
    check(content, tmp_path / "a.tif")


@FUZZ
@given(head=st.sampled_from(list(INTACT)), kept=st.integers(0, 60), rest=st.binary(max_size=300))
def test_any_content_after_a_valid_start_is_read_or_refused_in_one_line(
    tmp_path: Path, head: str, kept: int, rest: bytes
) -> None:
    check(INTACT[head][:kept] + rest, tmp_path / "a.jpg")


def test_an_unsupported_format_is_refused_whatever_its_suffix(tmp_path: Path) -> None:
    for kind in ("ICO", "PCX", "EPS", "SGI", "DDS", "IM"):
        path = tmp_path / f"{kind}.png"
        Image.new("RGB", (20, 20)).save(path, kind)  # Pillow would read each, EPS by starting Ghostscript
        for read in (read_image, read_picture):
            with pytest.raises(ImageFileError, match=r"cannot be read as an image \(not an image\)"):
                read(path)


def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")  # nothing ever writes to it
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name in ("pipe", "folder", "endless", "loop"):
        path = tmp_path / f"{name}.png"
        for read in (read_image, read_picture):
            with pytest.raises(ImageFileError, match=r"is not a regular file|Too many levels of symbolic links"):
                read(path)
        assert (image_size(path), is_gray(path)) == ((0, 0), False)


def overclaiming_tags(length: int, count: int) -> bytes:
    """TIFF or EXIF data of this length whose tags each claim all of it as their value."""
    tags = b"".join(struct.pack("<HHII", 1000 + number, 1, length - 8, 8) for number in range(count))
    return (b"II*\0" + struct.pack("<IH", 8, count) + tags + bytes(4)).ljust(length, b"\0")


def jpeg_with_exif(data: bytes) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG")
    parts = [data[start : start + 65_000] for start in range(0, len(data), 65_000)]
    segments = [b"\xff\xe1" + struct.pack(">H", 8 + len(part)) + b"Exif\0\0" + part for part in parts]
    return b"\xff\xd8" + b"".join(segments) + file.getvalue()[20:]  # without JFIF, which would give the resolution


def jpeg_of_several_pictures(_: bytes) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG")
    part = overclaiming_tags(65_000, 5_000)
    return (
        file.getvalue()[:20] + b"\xff\xe2" + struct.pack(">H", 6 + len(part)) + b"MPF\0" + part + file.getvalue()[20:]
    )


def png_with_exif(data: bytes) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "PNG")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    return file.getvalue()[:33] + chunk + file.getvalue()[33:]


@pytest.mark.parametrize("make", [jpeg_with_exif, jpeg_of_several_pictures, png_with_exif, bytes])
def test_tags_that_claim_more_than_their_file_holds_are_not_read(
    tmp_path: Path, make: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(make(overclaiming_tags(3_000_000, 60_000)))  # Pillow alone would copy 180 GB
    tracemalloc.start()
    try:
        for read in (lambda: read_image(path).shape, lambda: read_picture(path).pixels.shape):
            if make is bytes:
                with pytest.raises(ImageFileError, match="cannot be read as an image"):
                    read()
            else:
                assert sorted(read()) == [3, 16, 16]
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "error", [MemoryError, RecursionError, OverflowError("x\ny"), struct.error, zlib.error, SyntaxError, StopIteration]
)
def test_any_error_of_a_decoder_becomes_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    path = tmp_path / "a.png"
    path.write_bytes(INTACT["png"])
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    for read in (read_image, read_picture):
        with pytest.raises(ImageFileError, match=r"a\.png: cannot be read as an image \([^\n]*\): replace the file$"):
            read(path)
    monkeypatch.setattr("sr.io.images.open_decoder", fail)
    assert (image_size(path), is_gray(path)) == ((0, 0), False)
