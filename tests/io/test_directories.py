"""Directories of TIFF and EXIF: what is damaged or claims too much is left out, and the rest survives."""

import io
import random
import struct
import time

import pytest

from sr.io.directories import CAMERA, MAKER_NOTE, PLACE, Directory, DirectoryReader, Tag, exif_block
from sr.io.pictures import read_picture, write_strips
from tests.support.images import photograph

WANTED = frozenset({270, 271})
DIRECTORY = Directory(
    {270: Tag(2, b"a description\0"), 271: Tag(2, b"abc\0")},
    {
        CAMERA: Directory(
            {
                0x829A: Tag(5, struct.pack("<II", 1, 100)),
                0x9286: Tag(7, b"UNICODE\0" + "né".encode("utf-16-le")),
                0xA405: Tag(3, struct.pack("<H", 35)),
            },
            {0xA005: Directory({1: Tag(2, b"R98\0")})},
        ),
        PLACE: Directory({2: Tag(5, struct.pack("<6I", 50, 1, 1, 1, 5, 2))}),
    },
)


def big_endian(code: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(">HHL", code, kind, count) + value.ljust(4, b"\0")


def test_a_directory_survives_writing_and_reading() -> None:
    reader = DirectoryReader(exif_block(DIRECTORY))
    assert reader.first(WANTED) == DIRECTORY
    assert not reader.is_damaged


def test_values_of_the_other_byte_order_are_turned() -> None:
    entries = [big_endian(0xA405, 3, 1, b"\0\x23"), big_endian(0x9286, 7, 12, struct.pack(">L", 8 + 2 + 12 + 4 + 30))]
    comment = b"UNICODE\0" + "né".encode("utf-16-be")
    content = b"MM\0*" + struct.pack(">LH", 8, 1) + big_endian(CAMERA, 4, 1, struct.pack(">L", 26)) + bytes(4)
    content += struct.pack(">H", 2) + b"".join(entries) + bytes(4) + comment
    camera = DirectoryReader(content).first(()).parts[CAMERA]
    assert camera.tags == {code: DIRECTORY.parts[CAMERA].tags[code] for code in (0xA405, 0x9286)}


def overclaiming_exif(length: int, count: int) -> bytes:
    """EXIF of this length whose tags of the camera each claim all of it."""
    tags = b"".join(struct.pack("<HHII", 38000 + number, 1, length - 8, 8) for number in range(count))
    head = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", CAMERA, 4, 1, 26) + bytes(4)
    return (head + struct.pack("<H", count) + tags + bytes(4)).ljust(length, b"\0")


def test_tags_are_never_read_that_claim_more_than_all_there_is() -> None:
    reader = DirectoryReader(overclaiming_exif(1_000_000, 27_000))
    start = time.perf_counter()
    camera = reader.first(WANTED).parts[CAMERA]
    assert sum(len(tag.data) for tag in camera.tags.values()) <= 1_000_000
    assert reader.is_damaged
    assert time.perf_counter() - start < 2  # Pillow would copy 27 GB


def tiff_with_exif(data: bytes) -> bytes:
    """A TIFF whose camera tags are those of EXIF."""
    file = io.BytesIO()
    photograph(12, 20).save(file, "TIFF", exif=exif_block(Directory(DIRECTORY.tags, {PLACE: Directory()})))
    content = bytearray(file.getvalue())
    reader_place = len(content) + len(content) % 2
    shifted = bytearray(data[26:])  # the directory of the camera
    for number in range(struct.unpack_from("<H", shifted)[0]):
        struct.pack_into("<I", shifted, 2 + 12 * number + 8, reader_place)
    entry = content.find(struct.pack("<HH", 271, 2))
    struct.pack_into("<HHII", content, entry, CAMERA, 4, 1, reader_place)
    return bytes(content.ljust(reader_place, b"\0") + shifted)


def test_a_tiff_whose_camera_tags_claim_gigabytes_is_read_at_once_and_that_is_said() -> None:
    content = tiff_with_exif(overclaiming_exif(1_000_000, 4000))
    start = time.perf_counter()
    metadata = read_picture(content).metadata
    assert time.perf_counter() - start < 2
    assert metadata.left_out == ("damaged tags of EXIF",)
    assert len(metadata.exif) < 1_100_000


def test_of_exif_that_claims_gigabytes_no_more_is_read_than_there_is_and_that_is_said() -> None:
    tags = b"".join(struct.pack("<HHII", 1000 + number, 1, 60_000, 8) for number in range(1000))
    data = (b"II*\0" + struct.pack("<IH", 8, 1000) + tags + bytes(4)).ljust(60_000, b"\0")
    file = io.BytesIO()
    photograph(12, 20).save(file, "JPEG", exif=b"Exif\0\0" + data)
    metadata = read_picture(file.getvalue()).metadata
    assert metadata.left_out == ("damaged tags of EXIF",)
    assert len(metadata.exif) < 61_000


def test_a_tag_that_claims_too_much_costs_no_other() -> None:
    entries = big_endian(271, 2, 4, b"abc\0") + big_endian(0x9999, 7, 100_000, struct.pack(">L", 8))
    data = b"MM\0*" + struct.pack(">LH", 8, 2) + entries + bytes(4)
    file = io.BytesIO()
    photograph(12, 20).save(file, "JPEG", exif=b"Exif\0\0" + data)
    metadata = read_picture(file.getvalue()).metadata
    assert metadata.left_out == ("damaged tags of EXIF",)
    assert DirectoryReader(metadata.exif).first() == Directory({271: Tag(2, b"abc\0")})


@pytest.mark.parametrize("end", [b"", bytes(4)])  # some programs leave out the place of the next directory
def test_the_orientation_and_the_sides_are_cut_out_and_the_rest_stays_in_place(end: bytes) -> None:
    values = (
        big_endian(271, 2, 4, b"abc\0"),
        big_endian(274, 3, 1, b"\0\6"),
        big_endian(CAMERA, 4, 1, struct.pack(">L", 60)),
    )
    camera = (
        big_endian(0xA002, 4, 1, b"\0\0\0\7"),
        big_endian(0xA003, 4, 1, b"\0\0\0\7"),
        big_endian(MAKER_NOTE, 7, 6, struct.pack(">L", 52)),
    )
    head = b"MM\0*" + struct.pack(">LH", 8, 3) + b"".join(values) + struct.pack(">L", 60)
    data = head.ljust(52, b"\0") + b"secret".ljust(8, b"\0") + struct.pack(">H", 3) + b"".join(camera) + end
    file = io.BytesIO()
    photograph(12, 20).save(file, "JPEG", exif=b"Exif\0\0" + data)
    metadata = read_picture(file.getvalue()).metadata
    assert metadata.left_out == ()
    assert metadata.exif[52:58] == b"secret"
    reader = DirectoryReader(metadata.exif)
    assert reader.first() == Directory({271: Tag(2, b"abc\0")})
    assert (reader.unkept, reader.is_damaged) == ({MAKER_NOTE}, False)
    assert struct.unpack_from(">L", metadata.exif, 10 + 12 * 2) == (0,)


def test_an_empty_block_of_exif_is_none() -> None:
    file = io.BytesIO()
    photograph(12, 20).save(file, "JPEG", exif=b"Exif\0\0")
    assert read_picture(file.getvalue()).metadata.left_out == ()


def test_large_numbers_of_bigtiff_become_those_of_exif() -> None:
    content = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 2)
    content += struct.pack("<HHQQ", 270, 2, 4, 0x00636261) + struct.pack("<HHQQ", 271, 16, 1, 77) + bytes(8)
    reader = DirectoryReader(content)
    assert reader.first(WANTED).tags == {270: Tag(2, b"abc\0"), 271: Tag(4, struct.pack("<L", 77))}
    assert not reader.is_damaged


def test_maker_notes_are_named() -> None:
    reader = DirectoryReader(exif_block(Directory(parts={CAMERA: Directory({MAKER_NOTE: Tag(7, b"secret")})})))
    assert not reader.first(WANTED)
    assert reader.unkept == {MAKER_NOTE}


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".png"])
def test_damaged_exif_is_written_as_far_as_it_goes_and_never_an_error(suffix: str) -> None:
    intact, rng = exif_block(DIRECTORY), random.Random(0)
    for _ in range(150):
        data = bytearray(intact)
        for _ in range(rng.choice((1, 3, 10))):
            data[rng.randrange(8, len(data))] = rng.choice((0, 1, 255, rng.randrange(256)))
        file, out = io.BytesIO(), io.BytesIO()
        photograph(4, 5).save(file, "JPEG", exif=b"Exif\0\0" + bytes(data[: rng.choice((len(data), 60, 200))]))
        picture = read_picture(file.getvalue())
        write_strips(out, suffix, [picture.pixels], picture.pixels.shape, metadata=picture.metadata)
        assert read_picture(out.getvalue()).pixels.shape == picture.pixels.shape
