import io
import struct
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sr.inference.enlarger import Enlarger
from sr.io.metadata import Metadata
from sr.io.pictures import read_picture
from sr.weights.model import Model
from tests.support.images import photograph

XMP = b'<x tiff:Orientation="6"/>'
LARGER = Enlarger(Model("bicubic", 2), device="cpu")


def exif() -> Image.Exif:
    data = Image.Exif()
    data[0x0112], data[0x010E] = 6, "a description"
    return data


def saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    photograph(12, 20).save(file, kind, **options)
    return file.getvalue()


def enlarged(content: bytes, suffix: str) -> tuple[Image.Image, str]:
    file = io.BytesIO()
    lost = LARGER.write(read_picture(content), file, suffix)
    image = Image.open(io.BytesIO(file.getvalue()))
    image.load()
    return image, lost


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_and_xmp_are_kept_and_their_orientation_is_reset(kind: str, suffix: str) -> None:
    image, lost = enlarged(saved(kind, exif=exif()), suffix)
    assert lost == ""
    assert image.size == (24, 40)  # upright
    assert dict(image.getexif()) == {0x0112: 1, 0x010E: "a description"}
    image, lost = enlarged(saved("JPEG", xmp=XMP), suffix)
    assert (lost, image.size) == ("", (24, 40))
    assert XMP.replace(b"6", b"1") in image.info["xmp"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_the_resolution_is_kept(kind: str, suffix: str) -> None:
    image, lost = enlarged(saved(kind, dpi=(300, 150)), suffix)
    assert lost == ""
    assert np.allclose([float(value) for value in image.info["dpi"]], (300, 150), atol=0.1)


def test_a_tiff_of_sixteen_bits_keeps_its_resolution() -> None:
    file = io.BytesIO()
    pixels = np.zeros((4, 5, 3), np.uint16)
    tifffile.imwrite(file, pixels, photometric="rgb", resolution=(200, 100), resolutionunit="INCH")
    image, lost = enlarged(file.getvalue(), ".tif")
    assert (lost, image.info["dpi"]) == ("", (200, 100))


def test_colour_tags_of_png_are_kept_in_png_and_said_elsewhere() -> None:
    content = saved("PNG")
    tags = png_chunk(b"gAMA", struct.pack(">I", 45455)) + png_chunk(b"cICP", bytes((9, 16, 0, 1)))
    content = content[:33] + tags + content[33:]
    file = io.BytesIO()
    assert LARGER.write(read_picture(content), file, ".png") == ""
    assert tags in file.getvalue()
    assert enlarged(content, ".jpg")[1] == "gamma (JPEG cannot hold it), cICP (JPEG cannot hold it)"


def test_what_a_format_cannot_hold_is_said() -> None:
    content = saved("JPEG", exif=exif(), xmp=XMP, dpi=(300, 300))
    assert enlarged(content, ".webp")[1] == "dpi (WEBP cannot hold it)"
    assert enlarged(content, ".bmp")[1] == "EXIF (BMP cannot hold it), XMP (BMP cannot hold it)"


@pytest.mark.parametrize("data", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"nonsense" * 10])
def test_damaged_exif_is_left_out(data: bytes) -> None:
    chunk = png_chunk(b"eXIf", data)
    content = saved("PNG")
    assert read_picture(content[:33] + chunk + content[33:]).metadata.exif == b""


def test_a_thumbnail_of_the_picture_before_is_not_kept(tmp_path: Path) -> None:
    data = exif().tobytes().removeprefix(b"Exif\0\0")
    (directory,) = struct.unpack_from(">L" if data[:2] == b"MM" else "<L", data, 4)
    linked = bytearray(data)
    struct.pack_into(">L" if data[:2] == b"MM" else "<L", linked, directory + 2 + 24, directory)
    content = saved("JPEG", exif=b"Exif\0\0" + bytes(linked))
    kept = read_picture(content).metadata.exif
    assert kept[directory + 26 : directory + 30] == bytes(4)


def camera_exif() -> Image.Exif:
    data = exif()
    data[0x010F], data[0x8769] = "Maker", {0x9003: "2020:01:02 03:04:05"}
    return data


def described_tiff(**options: object) -> bytes:
    return saved("TIFF", exif=camera_exif().tobytes(), **options)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_of_a_tiff_is_kept_with_its_orientation_reset(suffix: str) -> None:
    image, lost = enlarged(described_tiff(), suffix)
    assert (lost, image.size) == ("", (24, 40))  # upright
    stored = image.getexif()
    assert (stored[0x010F], stored[0x010E]) == ("Maker", "a description")
    assert stored.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert stored.get(0x0112, 1) == 1


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_gets_texts_and_xmp_and_what_else_exif_holds_is_said(tmp_path: Path, bits: int) -> None:
    picture = read_picture(saved("JPEG", exif=camera_exif(), xmp=XMP))
    if bits == 16:
        picture = replace(picture, pixels=picture.pixels.astype(np.uint16) * 257)
    with (tmp_path / "a.tif").open("w+b") as file:
        assert LARGER.write(picture, file, ".tif") == "camera settings of EXIF (not written to TIFF)"
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        tags = tiff.pages.first.tags
        assert (tags.valueof(271), tags.valueof(270)) == ("Maker", "a description")
        assert tags.valueof(700) == XMP.replace(b"6", b"1")
    again = read_picture(tmp_path / "a.tif")
    assert again.pixels.dtype.itemsize == bits // 8
    assert again.metadata.xmp == XMP.replace(b"6", b"1")
    assert again.metadata.tiff_tags[271] == "Maker"


def test_a_resolution_in_centimetres_is_read() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((6, 8), np.uint8), resolution=(100, 200), resolutionunit="CENTIMETER")
    assert read_picture(file.getvalue()).metadata.dpi == pytest.approx((254, 508))


def hostile_tiff(tags: int = 400, size: int = 1_000_000) -> bytes:
    """A gray pixel, and a directory of EXIF whose tags all claim all of the file."""
    entries = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, 1), (0x8769, 4, 1, 200)]
    first = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHLL", *entry) for entry in entries) + bytes(4)
    claims = b"".join(struct.pack("<HHLL", 0x9000 + number, 7, size - 16, 16) for number in range(tags))
    content = struct.pack("<4sL", b"II*\0", 16) + bytes(8) + first
    return (content.ljust(200, b"\0") + struct.pack("<H", tags) + claims + bytes(4)).ljust(size, b"\0")


def test_tags_that_all_claim_the_whole_file_are_not_read() -> None:
    start = time.process_time()
    picture = read_picture(hostile_tiff())
    assert picture.pixels.shape == (1, 1, 1)
    assert picture.metadata.exif == b""
    hostile_exif = Metadata(exif=hostile_tiff())
    assert hostile_exif.tiff_tags == {}
    assert time.process_time() - start < 5  # a minute if they are read


@pytest.mark.parametrize("bits", [8, 16])
def test_texts_that_tiff_cannot_hold_are_left_out_and_said(bits: int) -> None:
    data = exif()
    data[0x013B] = "M\u00fcller"
    picture = read_picture(saved("JPEG", exif=data))
    picture = replace(picture, metadata=replace(picture.metadata, exif=with_author(picture.metadata.exif)))
    if bits == 16:
        picture = replace(picture, pixels=picture.pixels.astype(np.uint16) * 257)
    lost = LARGER.write(picture, io.BytesIO(), ".tif")
    assert lost == "texts of EXIF with other letters than those of ASCII (TIFF cannot hold them)"


def with_author(exif_bytes: bytes) -> bytes:
    """The same with an author of other letters, in the encoding that Pillow reads."""
    return exif_bytes.replace(b"M?ller", b"M\xfcller")
