import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from sr.errors import UserError
from sr.io.images import ImageFileError, is_gray, read_image
from sr.io.pictures import write_strips
from sr.io.pixel_formats import RGB8, PixelFormat, checked_format, conversions, read_bands, read_pixels
from tests.support.images import photograph

GRAY, DEEP = PixelFormat(1), PixelFormat(3, 16)
BANDS = np.random.default_rng(0).integers(0, 65536, (5, 7, 4), dtype=np.uint16)


def save(path: Path, *args: object, **options: object) -> Path:
    tifffile.imwrite(path, *args, **options)  # type: ignore[arg-type]
    return path


@pytest.fixture
def four_bands(tmp_path: Path) -> Path:
    return save(tmp_path / "four.tif", BANDS, photometric="minisblack", planarconfig="contig")


def test_rgb_of_eight_bits_is_what_read_image_gives(tmp_path: Path) -> None:
    photograph(20, 30).save(tmp_path / "a.png")
    assert torch.equal(read_pixels(tmp_path / "a.png"), read_image(tmp_path / "a.png"))


@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_every_band_of_a_tiff_is_read_as_it_is_stored(tmp_path: Path, layout: str) -> None:
    bands = BANDS if layout == "contig" else BANDS.transpose(2, 0, 1)
    path = save(tmp_path / "a.tif", bands, photometric="minisblack", planarconfig=layout, compression="zlib")
    image = read_pixels(path, PixelFormat(4, 16))
    assert image.dtype == torch.uint16
    assert np.array_equal(image.numpy(), BANDS.transpose(2, 0, 1))
    assert np.array_equal(read_bands(path, 4).pixels, BANDS)


def test_sixteen_bits_are_divided_by_257_and_rounded_to_eight(four_bands: Path) -> None:
    image = read_pixels(four_bands, PixelFormat(4, 8))
    assert np.array_equal(image.numpy(), np.round(BANDS.transpose(2, 0, 1) / 257))


def test_eight_bits_are_stretched_to_sixteen(tmp_path: Path) -> None:
    photograph(20, 30).save(tmp_path / "a.png")
    image = read_pixels(tmp_path / "a.png", DEEP)
    assert torch.equal(image.int(), 257 * read_image(tmp_path / "a.png").int())


def test_sixteen_bits_of_rgb_and_gray_are_kept(tmp_path: Path) -> None:
    colour = save(tmp_path / "colour.tif", BANDS[..., :3], photometric="rgb")
    assert np.array_equal(read_pixels(colour, DEEP).numpy(), BANDS[..., :3].transpose(2, 0, 1))
    Image.fromarray(BANDS[..., 0]).save(tmp_path / "gray.png")
    assert np.array_equal(read_pixels(tmp_path / "gray.png", PixelFormat(1, 16)).numpy()[0], BANDS[..., 0])
    assert np.array_equal(read_pixels(tmp_path / "gray.png", DEEP).numpy()[2], BANDS[..., 0])


@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("bands", [BANDS[..., :3], (BANDS[..., :3] >> 8).astype(np.uint8)])
def test_three_bands_without_a_meaning_are_colours(tmp_path: Path, layout: str, bands: np.ndarray) -> None:
    stored = bands if layout == "contig" else bands.transpose(2, 0, 1)
    path = save(tmp_path / "map.tif", stored, photometric="minisblack", planarconfig=layout)
    assert np.array_equal(read_pixels(path, DEEP if bands.dtype == np.uint16 else RGB8).permute(1, 2, 0).numpy(), bands)
    assert not is_gray(path)


def test_what_else_is_wrong_with_three_bands_is_said(tmp_path: Path) -> None:
    path = save(tmp_path / "lab.tif", BANDS[..., :3], photometric="icclab")
    with pytest.raises(ImageFileError, match="colour space"):
        read_pixels(path)


def test_colours_become_gray_by_their_bt601_weights(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "red.png")
    assert read_pixels(tmp_path / "red.png", GRAY).tolist() == [[[76, 76], [76, 76]]]  # 0.299 * 255


def test_alpha_is_dropped_from_gray_and_rgb_and_kept_as_a_channel_where_asked_for(tmp_path: Path) -> None:
    Image.new("LA", (1, 1), (9, 200)).save(tmp_path / "gray.png")
    Image.new("RGBA", (1, 1), (1, 2, 3, 200)).save(tmp_path / "rgb.png")
    read = {
        (name, channels): read_pixels(tmp_path / f"{name}.png", PixelFormat(channels)).flatten().tolist()
        for name, channels in (("gray", 1), ("gray", 2), ("rgb", 4))
    }
    assert read == {("gray", 1): [9], ("gray", 2): [9, 200], ("rgb", 4): [1, 2, 3, 200]}


def test_a_wrong_number_of_channels_is_refused_with_the_option_that_helps(tmp_path: Path, four_bands: Path) -> None:
    photograph(20, 30).save(tmp_path / "a.png")
    with pytest.raises(ImageFileError, match=r"has 3 channels, not 2: data\.channels=3 trains on it"):
        read_pixels(tmp_path / "a.png", PixelFormat(2))
    with pytest.raises(ImageFileError, match=r"has 4 channels, not 5"):
        read_pixels(four_bands, PixelFormat(5))
    with pytest.raises(ImageFileError, match=r"holds 4 bands, not 3: data\.channels=4 trains"):
        read_pixels(four_bands, RGB8)
    with pytest.raises(ImageFileError, match=r"holds 4 bands, not 1"):
        read_pixels(four_bands, PixelFormat(1, 16))
    with pytest.raises(ImageFileError, match=r"has 3 channels, and the model was trained for 4"):
        read_bands(tmp_path / "a.png", 4)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            np.zeros((4, 4, 4), np.float32),
            "holds float32 floating-point values of unknown range: save it",
        ),
        (np.zeros((4, 4, 70), np.uint8), "of 70 channels, more than"),
    ],
)
def test_what_no_run_can_use_of_a_tiff_is_refused(tmp_path: Path, values: np.ndarray, text: str) -> None:
    path = save(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageFileError, match=text):
        read_pixels(path, PixelFormat(4))


def test_a_damaged_or_hostile_tiff_is_refused_in_one_line(four_bands: Path) -> None:
    content = four_bands.read_bytes()
    for cut in (4, 60, 120, len(content) - 5):
        four_bands.write_bytes(content[:cut])
        with pytest.raises(ImageFileError, match=r"^[^\n]*$"):
            read_pixels(four_bands, PixelFormat(4))
    huge = content.replace((7).to_bytes(4, "little"), (2**31 - 1).to_bytes(4, "little"), 1)
    four_bands.write_bytes(huge)
    with pytest.raises(ImageFileError, match=r"^[^\n]*$"):
        read_pixels(four_bands, PixelFormat(4))


def test_a_tiff_is_read_upright(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.tif", BANDS, photometric="minisblack", planarconfig="contig", extratags=[(274, "H", 1, 3, True)]
    )
    assert np.array_equal(read_bands(path, 4).pixels, BANDS[::-1, ::-1])


def test_one_page_for_each_band_is_read_as_bands_and_one_of_several_is_said(tmp_path: Path) -> None:
    path = save(tmp_path / "pages.tif", BANDS.transpose(2, 0, 1), photometric="minisblack")
    assert np.array_equal(read_bands(path, 4).pixels, BANDS)
    assert np.array_equal(read_pixels(path, PixelFormat(1, 16)).numpy()[0], BANDS[..., 0])
    assert conversions([path], PixelFormat(1, 16)) == [
        "1 of 1 files have several pages or frames, of which the first is used"
    ]


def test_what_is_written_of_bands_is_read_again_and_has_no_transparency(tmp_path: Path) -> None:
    for name, bands in (("deep.tif", BANDS), ("flat.tif", (BANDS // 257).astype(np.uint8))):
        with (tmp_path / name).open("wb") as file:
            write_strips(file, ".tif", [bands], bands.shape, deep=bands.itemsize == 2, bands=True)
        assert np.array_equal(read_bands(tmp_path / name, 4).pixels, bands)
        with tifffile.TiffFile(tmp_path / name) as tiff:
            assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.MINISBLACK
    with pytest.raises(UserError, match="cannot be written as JPEG"):
        write_strips(io.BytesIO(), ".jpg", [BANDS], BANDS.shape, deep=True, bands=True)


def test_a_compression_that_only_pillow_knows_is_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression="tiff_lzw")
    assert np.array_equal(read_bands(tmp_path / "a.tif", 4).pixels, pixels)


def test_what_a_format_changes_is_said(tmp_path: Path) -> None:
    photograph(20, 30).save(tmp_path / "colour.png")
    Image.fromarray(BANDS[..., 0]).save(tmp_path / "deep.png")
    paths = [tmp_path / "colour.png", tmp_path / "deep.png"]
    assert conversions(paths, RGB8) == []
    assert conversions(paths, PixelFormat(1, 16)) == [
        "data.channels=1: 1 of 2 files are in colour and are converted to gray",
        "data.bits=16: 1 of 2 files have only 8 bits",
    ]


@pytest.mark.parametrize(("channels", "bits"), [(0, 8), (65, 8), (3, 12)])
def test_impossible_formats_are_refused(channels: int, bits: int) -> None:
    with pytest.raises(UserError, match=r"data\.(channels|bits) must be"):
        checked_format(channels, bits)
