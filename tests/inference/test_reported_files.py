"""The files that people reported, as ``shared/cases/make_images.py`` writes them, through ``sr predict``."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr.inference.enlarger import Enlarger
from sr.io.images import ImageFileError
from sr.io.pictures import read_picture
from sr.weights.model import Model
from tests.support.images import photograph

_CANDIDATES = [folder / "shared" / "cases" / "make_images.py" for folder in Path(__file__).resolve().parents]
SCRIPT = next(filter(Path.is_file, _CANDIDATES), None)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    if SCRIPT is None:
        pytest.skip("shared/cases/make_images.py is not there; tests/io/test_tiffs.py and others read its siblings")
    photograph(100, 130).save(tmp_path / "photo.png")
    subprocess.run([sys.executable, SCRIPT, tmp_path / "photo.png", tmp_path / "cases"], check=True)
    return tmp_path / "cases"


def test_every_reported_picture_is_read_right_or_refused_by_name(cases: Path, tmp_path: Path) -> None:
    rgb = np.asarray(photograph(100, 130))[:96, :120]
    gray = np.asarray(photograph(100, 130).crop((0, 0, 120, 96)).convert("L"))
    for name in ("rgb16_tiled.tif", "rgb16_big.tif"):
        assert np.array_equal(read_picture(cases / name).pixels, rgb.astype(np.uint16) * 257)
    assert np.array_equal(read_picture(cases / "gray16_white_is_zero_8bit.tif").pixels[..., 0], gray)
    assert np.array_equal(read_picture(cases / "gray16_alpha.tif").pixels[..., 0], gray.astype(np.uint16) * 257)
    with pytest.raises(ImageFileError, match="holds values of 32 bits of unknown range"):
        read_picture(cases / "gray_u32.tif")
    enlarger = Enlarger(Model("bicubic", 2), device="cpu")
    cut_out = read_picture(cases / "cut_out_on_hidden_black.png").pixels
    whole = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    out, expected = enlarger(cut_out), enlarger(whole)
    opaque = out[..., 3] == 255
    assert np.abs(out[opaque].astype(int) - expected[opaque]).max() < 163  # of black, before
    with (tmp_path / "out.jpg").open("wb") as file:
        assert enlarger.write(read_picture(cases / "exif_dpi.jpg"), file, ".jpg") == ""
    with Image.open(tmp_path / "out.jpg") as image:
        assert (image.getexif()[0x010E], image.getexif().get(0x0112, 1), image.info["dpi"]) == (
            "a description",
            1,
            (300, 300),
        )
