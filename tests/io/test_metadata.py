import io
import os
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sr.inference.enlarger import Enlarger
from sr.io.atomic import whole_file
from sr.io.directories import DirectoryReader, add_to_tiff
from sr.io.pictures import Picture, read_picture
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
    assert dict(image.getexif()) == {0x010E: "a description"}
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
    assert kept[directory + 14 : directory + 18] == bytes(4)  # behind one entry, without the orientation


def camera_exif() -> Image.Exif:
    data = exif()
    data[0x010F], data[0x8769] = "Maker", {0x9003: "2020:01:02 03:04:05", 0x829A: 0.01}
    return data


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_of_a_tiff_is_kept_with_its_orientation_reset(suffix: str) -> None:
    image, lost = enlarged(saved("TIFF", exif=camera_exif().tobytes()), suffix)
    assert (lost, image.size) == ("", (24, 40))  # upright
    stored = image.getexif()
    assert (stored[0x010F], stored[0x010E]) == ("Maker", "a description")
    assert stored.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
    assert stored.get(0x0112, 1) == 1


def of_bits(picture: Picture, bits: int) -> Picture:
    return replace(picture, pixels=picture.pixels.astype(np.uint16) * 257) if bits == 16 else picture


def tiff_of(picture: Picture, path: Path) -> str:
    with whole_file(path) as file:
        return LARGER.write(picture, file, ".tif")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "BigTIFF"])
def test_tiff_gets_all_of_exif_and_xmp_for_both_readers(tmp_path: Path, kind: str, order: str, bits: int) -> None:
    data = camera_exif()
    data.endian = order
    data[0x8825] = {1: "N", 2: (50.0, 1.0, 2.5)}
    content = saved(kind.removeprefix("Big"), exif=data.tobytes(), xmp=XMP)
    if kind != "JPEG":
        content = described_tiff(data, big=kind == "BigTIFF", order=order)
    assert tiff_of(of_bits(read_picture(content), bits), tmp_path / "a.tif") == ""
    with Image.open(tmp_path / "a.tif") as image:
        image.load()
        stored = image.getexif()
        assert (image.size, stored[271], stored[270], stored.get(274, 1)) == ((24, 40), "Maker", "a description", 1)
        assert stored.get_ifd(0x8769) == {0x9003: "2020:01:02 03:04:05", 0x829A: 0.01}
        assert stored.get_ifd(0x8825) == {1: "N", 2: (50.0, 1.0, 2.5)}
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        tags = tiff.pages.first.tags
        assert (tags.valueof(271), tags.valueof(270)) == ("Maker", "a description")
        assert tags.valueof(34665)["DateTimeOriginal"] == "2020:01:02 03:04:05"
        assert tags.valueof(34853)["GPSLatitudeRef"] == "N"
        assert tags.valueof(700) == XMP.replace(b"6", b"1")
        assert tiff.asarray().shape == (40, 24, 3)
    again = read_picture(tmp_path / "a.tif")
    assert again.pixels.dtype.itemsize == bits // 8
    assert (again.metadata.xmp, again.note, again.metadata.left_out) == (XMP.replace(b"6", b"1"), "", ())


def described_tiff(data: Image.Exif, *, big: bool, order: Any) -> bytes:
    """A picture of one strip with orientation and XMP by tifffile, and EXIF."""
    pixels = np.asarray(photograph(12, 20))
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        pixels,
        photometric="rgb",
        bigtiff=big,
        byteorder=order,
        metadata=None,
        software=False,
        extratags=[(274, "H", 1, 6, True), (700, "B", len(XMP), XMP, True)],
    )
    add_to_tiff(file, DirectoryReader(data.tobytes().removeprefix(b"Exif\0\0")).first({270, 271}))
    return file.getvalue()


@pytest.mark.parametrize("bits", [8, 16])
def test_text_that_is_not_ascii_stays_as_it_is_in_tiff(tmp_path: Path, bits: int) -> None:
    data = exif()
    data[315] = "M__ller"
    content = saved("JPEG", exif=data.tobytes().replace(b"M__ller", "Müller".encode()))
    assert tiff_of(of_bits(read_picture(content), bits), tmp_path / "a.tif") == ""
    assert "Müller".encode() in (tmp_path / "a.tif").read_bytes()


def test_maker_notes_are_said_to_be_left_out_of_tiff_and_kept_elsewhere(tmp_path: Path) -> None:
    data = camera_exif()
    data[0x8769][0x927C] = b"secret of a maker"
    picture = read_picture(saved("JPEG", exif=data.tobytes()))
    assert tiff_of(picture, tmp_path / "a.tif") == "maker notes of EXIF (not written to TIFF)"
    assert b"secret of a maker" not in (tmp_path / "a.tif").read_bytes()
    assert b"secret of a maker" in picture.metadata.exif


@pytest.mark.parametrize(
    ("options", "lost"),
    [
        ({}, ""),  # {"shape": [12, 20, 3]}
        ({"imagej": True}, "the description for ImageJ"),
        ({"ome": True}, "OME-XML"),
    ],
)
def test_a_description_of_the_file_as_it_was_is_not_kept(tmp_path: Path, options: dict[str, Any], lost: str) -> None:
    tifffile.imwrite(tmp_path / "in.tif", np.asarray(photograph(12, 20)), photometric="rgb", software=False, **options)
    assert tiff_of(read_picture(tmp_path / "in.tif"), tmp_path / "a.tif") == lost
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert (tiff.pages.first.description, tiff.asarray().shape) == ("", (24, 40, 3))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_what_no_output_gets_is_said(suffix: str) -> None:
    text = PngInfo()
    text.add_text("parameters", "a prompt")
    assert enlarged(saved("PNG", pnginfo=text), suffix)[1] == "text chunks"
    assert enlarged(saved("JPEG", comment=b"a comment"), suffix)[1] == "a comment"
    assert enlarged(saved("GIF", comment=b"a comment"), suffix)[1] == "a comment"
    iptc = b"8BIM\x04\x04\0\0" + struct.pack(">I", 4) + b"IPTC"
    segment = b"Photoshop 3.0\0" + iptc
    content = saved("JPEG")
    marked = content[:2] + b"\xff\xed" + struct.pack(">H", 2 + len(segment)) + segment + content[2:]
    assert enlarged(marked, suffix)[1] == "IPTC"
    file = io.BytesIO()
    pixels = np.asarray(photograph(12, 20))
    tifffile.imwrite(file, pixels, photometric="rgb", extratags=[(33723, "B", 4, b"IPTC", True)])
    assert enlarged(file.getvalue(), suffix)[1] == "IPTC"
    damaged = saved("JPEG", exif=b"Exif\0\0nonsense")
    assert enlarged(damaged, suffix)[1] == "damaged EXIF"


def tiff_with(*tags: tuple[int, str, int, Any, bool]) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.asarray(photograph(12, 20)), photometric="rgb", metadata=None, extratags=tags)
    return file.getvalue()


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_tags_of_tiff_that_no_output_gets_are_said(suffix: str) -> None:
    assert enlarged(tiff_with((33550, "d", 3, (1.0, 1.0, 0.0), True)), suffix)[1] == "georeference"
    assert enlarged(tiff_with((65000, "H", 1, 3, True)), suffix)[1] == "other tags"
    assert enlarged(tiff_with((269, "s", 0, "a document", True)), suffix)[1] == ""


def test_tags_of_exif_that_tiff_does_not_get_are_said() -> None:
    data = exif()
    data[0xC4A5] = b"PrintIM"
    assert enlarged(saved("JPEG", exif=data), ".tif")[1] == "other tags (not written to TIFF)"
    assert enlarged(saved("JPEG", exif=data), ".jpg")[1] == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [("ImageJ=1.53t\nimages=3\nslices=3\n", "the description for ImageJ"), ("<OME ></OME>", "OME-XML")],
)
def test_a_description_of_another_file_does_not_reach_tiff(tmp_path: Path, text: str, name: str) -> None:
    data = exif()
    data[270] = text
    assert tiff_of(read_picture(saved("JPEG", exif=data)), tmp_path / "a.tif") == name
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert (tiff.is_imagej, tiff.is_ome, tiff.asarray().shape) == (False, False, (40, 24, 3))


@pytest.mark.parametrize(("unit", "expected"), [(2, (300, 150)), (3, (762, 381))])
def test_a_resolution_that_exif_alone_says_reaches_tiff(unit: int, expected: tuple[int, int]) -> None:
    data = exif()
    data[282], data[283], data[296] = 300.0, 150.0, unit
    content = bytearray(saved("JPEG", exif=data))
    start = content.index(b"JFIF\0")
    content[start : start + 5] = b"NONE\0"
    image, lost = enlarged(bytes(content), ".tif")
    assert (lost, image.info["dpi"]) == ("", pytest.approx(expected))


def test_avif_gets_the_bytes_of_exif_as_they_are() -> None:
    """Pillow writes EXIF anew that has an orientation, and texts beyond ASCII with question marks."""
    data = exif()
    data[315] = "M__ller"
    content = saved("JPEG", exif=data.tobytes().replace(b"M__ller", "Müller".encode()))
    file = io.BytesIO()
    assert LARGER.write(read_picture(content), file, ".avif") == ""
    assert "Müller".encode() in file.getvalue()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("described", [False, True])
def test_a_tiff_goes_through_a_pipe(bits: int, described: bool) -> None:
    content = saved("JPEG", exif=camera_exif().tobytes()) if described else saved("PNG")
    picture = of_bits(read_picture(content), bits)
    in_memory = io.BytesIO()
    LARGER.write(picture, in_memory, ".tif")
    receiver, sender = os.pipe()
    with os.fdopen(receiver, "rb") as end, ThreadPoolExecutor(1) as pool:
        received = pool.submit(end.read)
        with os.fdopen(sender, "wb") as file:
            assert LARGER.write(picture, file, ".tif") == ""
        assert received.result() == in_memory.getvalue()


def test_xmp_of_png_is_no_text_chunk_that_is_left_out() -> None:
    picture = read_picture(saved("JPEG", xmp=XMP))
    file = io.BytesIO()
    assert LARGER.write(picture, file, ".png") == ""
    assert read_picture(file.getvalue()).metadata.left_out == ()


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


def test_tags_that_all_claim_the_whole_file_are_read_no_more_than_once() -> None:
    start = time.process_time()
    picture = read_picture(hostile_tiff())
    assert picture.pixels.shape == (1, 1, 1)
    assert picture.metadata.left_out == ("damaged tags of EXIF",)
    assert len(picture.metadata.exif) < 1_000_100
    assert time.process_time() - start < 5  # a minute if all are read
