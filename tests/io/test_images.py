import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from PIL import Image

from sr.io.images import ImageFileError, from_pil, image_size, is_gray, read_image, to_pil
from sr.io.pictures import write_strips
from tests.support.images import photograph


def save(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def test_rgb_is_read_as_stored(tmp_path: Path) -> None:
    image = photograph(20, 30)
    pixels = read_image(save(tmp_path / "a.png", image))
    assert pixels.dtype == torch.uint8
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.array(image))


def test_gray_is_repeated_on_three_channels(tmp_path: Path) -> None:
    gray = photograph(20, 30).convert("L")
    pixels = read_image(save(tmp_path / "a.png", gray))
    assert all(np.array_equal(channel.numpy(), np.array(gray)) for channel in pixels)


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    palette = photograph(20, 30).quantize(16)
    pixels = read_image(save(tmp_path / "a.png", palette))
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.array(palette.convert("RGB")))


def test_alpha_is_dropped_and_colours_stay_as_stored(tmp_path: Path) -> None:
    image = photograph(20, 30)
    image.putalpha(Image.new("L", image.size, 7))
    pixels = read_image(save(tmp_path / "a.png", image))
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.array(photograph(20, 30)))


def test_cmyk_is_converted(tmp_path: Path) -> None:
    pixels = read_image(save(tmp_path / "a.tif", Image.new("CMYK", (12, 9), (255, 0, 0, 0))))
    assert pixels[:, 0, 0].tolist() == [0, 255, 255]
    assert pixels.shape == (3, 9, 12)


def test_16_bit_gray_is_rounded_to_8_bits_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 32896, 65535]], dtype=np.uint16)
    pixels = read_image(save(tmp_path / "a.png", Image.fromarray(values)))
    assert pixels[0, 0].tolist() == [0, 0, 1, 128, 255]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = photograph(20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    image.save(tmp_path / "a.png", exif=exif)
    pixels = read_image(tmp_path / "a.png")
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.rot90(np.array(image), -1))


def test_files_that_are_not_images_are_refused_in_one_line_with_their_path(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.txt").write_text("hello")
    content = save(tmp_path / "cut.png", photograph(60, 60)).read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    Image.fromarray(np.zeros((9, 9), dtype=np.float32)).save(tmp_path / "float.tif")
    for name in ("text.png", "empty.png", "notes.txt", "cut.png", "float.tif", "missing.png"):
        with pytest.raises(ImageFileError) as caught:
            read_image(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", photograph(60, 60))
    content = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + content[24:29]
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    with pytest.raises(ImageFileError, match="has 20000x20000 pixels, more than the 200000000 allowed"):
        read_image(path)


def test_decoding_in_threads_leaves_the_warning_filters_unchanged(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", photograph(20, 30))
    before = list(warnings.filters)
    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: read_image(path), range(40)))
        assert warnings.filters == before
    with pytest.warns(UserWarning, match="still shown"):
        warnings.warn("still shown", stacklevel=1)


def test_to_pil_accepts_an_image_on_any_device() -> None:
    class GpuTensor(torch.Tensor):
        """Stands in for a tensor on a GPU: only its copy on the CPU has numpy values."""

        def numpy(self, *, force: bool = False) -> NoReturn:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")

        def cpu(self, *args: object, **kwargs: object) -> torch.Tensor:
            return self.as_subclass(torch.Tensor)

    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    assert torch.equal(from_pil(to_pil(image.as_subclass(GpuTensor))), image)


def test_the_size_is_read_from_the_header(tmp_path: Path) -> None:
    assert image_size(save(tmp_path / "a.png", photograph(20, 30))) == (20, 30)
    assert image_size(tmp_path / "none.png") == (0, 0)


@pytest.mark.parametrize("name", ["a.PNG", "IMG_1.JPG", "b.Tiff"])
def test_files_are_read_whatever_the_case_of_their_suffix(tmp_path: Path, name: str) -> None:
    assert read_image(save(tmp_path / name, photograph(12, 14))).shape == (3, 12, 14)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("1", True), ("L", True), ("LA", True), ("I;16", True), ("P", False), ("RGB", False), ("RGBA", False)],
)
def test_a_gray_file_is_one_that_stores_gray(tmp_path: Path, mode: str, expected: bool) -> None:
    image = photograph(12, 14).convert("L") if mode in ("1", "L", "LA", "I;16") else photograph(12, 14)
    assert is_gray(save(tmp_path / "a.png", image.convert(mode))) is expected


def test_gray_of_16_bits_with_alpha_is_gray(tmp_path: Path) -> None:
    gray = np.asarray(photograph(12, 14).convert("L")).astype(np.uint16)[..., None] * 257
    with (tmp_path / "a.png").open("wb") as file:
        write_strips(file, ".png", [np.concatenate([gray, gray], axis=2)], (12, 14, 2), deep=True)
    assert is_gray(tmp_path / "a.png")
