"""Every kind x depth x byte order x container; expected pixels are those that were written, or Pillow's."""

import io
import itertools
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from sr.io.bounded import Pixels
from sr.io.images import ImageFileError, image_size, is_gray, read_image
from sr.io.pictures import read_picture

HEIGHT, WIDTH = 37, 45
ORDERS = {"little": "<", "big": ">"}
CONTAINERS: dict[str, dict[str, Any]] = {
    "strip": {},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 32)},
    "bigtiff": {"bigtiff": True},
    "bigtiff tiles": {"bigtiff": True, "tile": (32, 16)},
    "deflate": {"compression": "zlib", "rowsperstrip": 7},
    "deflate, predictor": {"compression": "zlib", "predictor": True},
    "deflate tiles, predictor": {"compression": "zlib", "predictor": True, "tile": (16, 16)},
}
KINDS = ("gray", "white is zero", "gray, alpha", "rgb", "rgb planes", "rgba", "rgba planes", "cmyk", "cmyk planes")


def values(channels: int, dtype: Any) -> Any:
    """Smooth enough that a wrong byte order or predictor shows, with every value of a byte in it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    planes = np.stack([rows * 5 + columns * (2 + channel) + 40 * channel for channel in range(channels)], -1) % 256
    noise = np.random.default_rng(0).integers(0, 256, planes.shape)
    return planes.astype(dtype) if dtype == np.uint8 else (planes * 256 + noise).astype(dtype)


def written(pixels: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def file_of(kind: str, dtype: Any, **options: Any) -> tuple[bytes, Pixels]:
    """A file, and the pixels that it shows."""
    most = np.iinfo(dtype).max
    name = kind.removesuffix(" planes")
    channels = {"gray": 1, "white is zero": 1, "gray, alpha": 2, "rgb": 3}.get(name, 4)
    stored = values(channels, dtype)
    options["photometric"] = {"white is zero": "miniswhite", "cmyk": "separated", "rgb": "rgb", "rgba": "rgb"}.get(
        name, "minisblack"
    )
    if name in ("gray, alpha", "rgba"):
        options["extrasamples"] = ["unassalpha"]
    planar = kind.endswith("planes")
    options["planarconfig"] = ("separate" if planar else "contig") if channels > 1 else None
    content = written(stored.transpose(2, 0, 1) if planar else stored if channels > 1 else stored[..., 0], **options)
    if name == "white is zero":
        return content, most - stored
    if name == "cmyk":
        left = most - stored.astype(np.float64)
        return content, np.round(left[..., :3] * left[..., 3:] / most).astype(dtype)
    return content, stored


@pytest.mark.parametrize(("order", "container"), list(itertools.product(ORDERS, CONTAINERS)))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_as_it_was_written(
    tmp_path: Path, kind: str, dtype: Any, order: str, container: str
) -> None:
    content, expected = file_of(kind, dtype, byteorder=ORDERS[order], **CONTAINERS[container])
    pixels = read_picture(content).pixels
    assert pixels.dtype == dtype
    if kind.startswith("cmyk"):  # Pillow's own rounding
        assert np.abs(pixels.astype(int) - expected).max() <= 1
    else:
        assert np.array_equal(pixels, expected)
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    seen = read_image(path).permute(1, 2, 0).numpy()
    colours = pixels[..., : 1 if pixels.shape[2] < 3 else 3]
    if dtype == np.uint16:
        is_gray_alone = pixels.shape[2] == 1
        colours = np.round(colours / 257).astype(np.uint8) if is_gray_alone else (colours >> 8).astype(np.uint8)
    assert np.array_equal(seen, np.broadcast_to(colours, seen.shape))
    assert image_size(path) == (HEIGHT, WIDTH)
    assert is_gray(path) == (pixels.shape[2] < 3)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_associated_alpha_is_divided_out(photometric: str, dtype: Any, order: str) -> None:
    most, channels = np.iinfo(dtype).max, 2 if photometric == "minisblack" else 4
    alpha = np.tile(np.linspace(0, most, WIDTH).astype(dtype), (HEIGHT, 1))[..., None]
    colours = values(channels - 1, dtype)
    multiplied = np.round(colours * (alpha / most)).astype(dtype)
    content = written(
        np.concatenate([multiplied, alpha], -1),
        photometric=photometric,
        extrasamples=["assocalpha"],
        planarconfig="contig",
        byteorder=ORDERS[order],
    )
    pixels = read_picture(content).pixels
    assert np.array_equal(pixels[..., -1:], alpha)
    error = np.abs(pixels[..., :-1] * (alpha / most) - multiplied)
    assert error.max() <= 1  # what is seen over black is unchanged


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [0, 1, 3])
def test_gray_white_is_zero_and_palettes_of_every_depth_are_read_as_by_pillow(photometric: int, bits: int) -> None:
    levels = 2**bits
    indices = (values(1, np.uint8)[..., 0].astype(int) % levels).astype(np.uint8)
    width = -(-WIDTH * bits // 8)
    places = np.zeros((HEIGHT, width * 8), np.uint8)
    unpacked = np.unpackbits(indices[..., None], axis=2)[..., 8 - bits :].reshape(HEIGHT, -1)
    places[:, : unpacked.shape[1]] = unpacked
    data = np.packbits(places, axis=1).tobytes()
    palette = np.random.default_rng(0).integers(0, 256, (3, levels)).astype("<u2") * 257
    tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: HEIGHT, 279: len(data)}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    if photometric == 3:
        entries.append(struct.pack("<HHII", 320, 3, 3 * levels, 8 + len(data)))
    start = 8 + len(data) + palette.nbytes
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    content = b"II*\0" + struct.pack("<I", start) + data + palette.tobytes() + directory
    pixels = read_picture(content).pixels
    if photometric == 3:
        assert np.array_equal(pixels, (palette >> 8).astype(np.uint8).T[indices])
    else:
        gray = indices * (255 // (levels - 1))
        assert np.array_equal(pixels[..., 0], gray if photometric else 255 - gray)
    other = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert np.array_equal(np.broadcast_to(pixels, other.shape), other)


def lzw(data: bytes) -> bytes:
    """Compress without finding any repetition: each byte as a code of 9 bits, the table cleared before it grows."""
    bits, run = "", 250
    for start in range(0, len(data), run):
        bits += f"{256:09b}" + "".join(f"{byte:09b}" for byte in data[start : start + run])
    bits += f"{257:09b}"
    return bytes(int(bits[place : place + 8].ljust(8, "0"), 2) for place in range(0, len(bits), 8))


@pytest.mark.parametrize("compression", [5, 32773])
@pytest.mark.parametrize("tiled", [False, True])
def test_sixteen_bits_packed_by_lzw_or_packbits_are_read(compression: int, tiled: bool) -> None:
    pixels = values(3, np.uint16)[:32, :32]
    content = written(pixels, photometric="rgb", tile=(32, 32) if tiled else None)
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        page: Any = tiff.pages.first
        data = pixels.astype("<u2").tobytes()
        literal = b"".join(b"\x7f" + data[start : start + 128] for start in range(0, len(data), 128))
        packed = lzw(data) if compression == 5 else literal
        edited = bytearray(content)
        for code, value in (
            (259, compression),
            (324 if tiled else 273, len(content)),
            (325 if tiled else 279, len(packed)),
        ):
            tag = page.tags[code]
            struct.pack_into("<H" if tag.dtype == 3 else "<I", edited, tag.valueoffset, value)
    assert np.array_equal(read_picture(bytes(edited) + packed).pixels, pixels)


@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (np.zeros((9, 9), np.uint32), {}, "holds values of 32 bits of unknown range: save it with 8 or 16 bits"),
        (np.zeros((9, 9), np.int16), {}, "holds int16 signed integers of unknown range: save it with"),
        (np.zeros((9, 9), np.int8), {}, "holds int8 signed integers of unknown range"),
        (np.zeros((9, 9), np.float32), {}, "is a floating-point image of unknown range: save it with"),
        (np.zeros((9, 9), np.float16), {}, "is a floating-point image of unknown range"),
        (np.zeros((9, 9), np.complex64), {}, "holds complex64 complex values of unknown range"),
        (np.zeros((9, 9, 3), np.float64), {"photometric": "rgb"}, "is a floating-point image of unknown range"),
    ],
)
def test_values_of_unknown_range_are_refused_by_name(
    tmp_path: Path, pixels: Any, options: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(written(pixels, **options))
    for read in (read_image, read_picture):
        with pytest.raises(ImageFileError, match=rf"^\S*a\.tif: {reason}"):
            read(path)


def test_an_unknown_compression_is_refused_by_name(tmp_path: Path) -> None:
    content = bytearray(written(np.zeros((9, 9, 3), np.uint8), photometric="rgb"))
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        struct.pack_into("<H", content, tiff.pages.first.tags[259].valueoffset, 34712)
    with pytest.raises(ImageFileError, match="has the compression JPEG2000, which is not read: save it uncompressed"):
        read_picture(bytes(content))


def test_a_strip_that_inflates_beyond_its_size_takes_no_memory() -> None:
    content = bytearray(written(np.zeros((8, 8), np.uint8), compression="zlib"))
    bomb = zlib.compress(bytes(50_000_000))
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        page: Any = tiff.pages.first
        struct.pack_into("<I", content, page.tags[273].valueoffset, len(content))
        tag = page.tags[279]
        struct.pack_into("<H" if tag.dtype == 3 else "<I", content, tag.valueoffset, len(bomb))
    tracemalloc.start()
    try:
        assert read_picture(bytes(content) + bomb).pixels.max() == 0
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_what_two_readers_see_differently_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = written(values(3, np.uint16), photometric="rgb", tile=(16, 16))
    monkeypatch.setattr("sr.io.tiffs.read_page", lambda page: np.zeros((HEIGHT, WIDTH, 3), np.uint16))
    with pytest.raises(ImageFileError, match="two readers see different pictures in it"):
        read_picture(content)


def test_sixteen_bit_png_that_two_readers_see_differently_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image, PngImagePlugin

    from tests.support.damaged_images import intact_images

    black = Image.new("RGB", (1, 1))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "convert", lambda file, mode: black.resize(file.size), False)
    with pytest.raises(ImageFileError, match="two readers see different pictures in it"):
        read_picture(intact_images()["png 16-bit"])


def test_pages_profile_and_orientation_are_found() -> None:
    pixels = values(3, np.uint16)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        for _ in range(2):
            tiff.write(pixels, photometric="rgb", iccprofile=b"p" * 50, extratags=[(274, "H", 1, 6, True)])
    picture = read_picture(file.getvalue())
    assert np.array_equal(picture.pixels, np.rot90(pixels, -1))
    assert (picture.profile, picture.note) == (b"p" * 50, "the first of 2 pages")


def test_a_damaged_tiff_is_refused_without_the_reader_s_own_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = written(values(3, np.uint8), photometric="rgb")
    (tmp_path / "a.tif").write_bytes(content[:8] + b"\x09\0" + bytes(range(200, 250)) + content[60:])
    with pytest.raises(ImageFileError, match=r"^[^\n]*$"):
        read_picture(tmp_path / "a.tif")
    assert caplog.text == ""
