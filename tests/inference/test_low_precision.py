import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr import load
from sr.cli import main
from sr.data.sources import demo_photographs
from sr.errors import UserError
from sr.inference.low_precision import export_low_precision
from sr.weights import zoo
from sr.weights.onnx.exported import export
from sr.weights.onnx.session import METADATA

onnx = pytest.importorskip("onnx", reason="needs sr-compare[onnx]")
pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")

SOURCE = zoo.find("espcn_x2")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number, path in enumerate(sorted({source.hr for source in demo_photographs()})[:6]):
        Image.open(path).convert("RGB").crop((0, 0, 200, 180)).save(folder / f"{number}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "most"), [("float16", 0.01), ("int8", 0.2)])
def test_what_a_lower_precision_costs_is_printed_recorded_and_small(
    photos: Path, tmp_path: Path, precision: str, most: float, capsys: pytest.CaptureFixture[str]
) -> None:
    low, full = tmp_path / "low.onnx", tmp_path / "full.onnx"
    main(["export", "espcn_x2", "-o", str(low), "--precision", precision, "--images", str(photos)])
    printed = capsys.readouterr().out
    entry = next(entry.value for entry in onnx.load(str(low)).metadata_props if entry.key == METADATA)
    cost = json.loads(entry)["cost"]
    assert f"{low}: written, {precision}: PSNR {cost['psnr']:.2f} dB instead of {cost['psnr_float32']:.2f}" in printed
    assert abs(cost["psnr"] - cost["psnr_float32"]) < most
    assert (cost["images"], cost["calibrated_on"]) == ((3, 3) if precision == "int8" else (6, 0))
    export(SOURCE, full)
    assert low.stat().st_size < 0.7 * full.stat().st_size
    # The file is used as any other, and gives the PSNR that it states.
    paths = sorted(photos.iterdir())[1::2] if precision == "int8" else sorted(photos.iterdir())
    values = []
    for path in paths:
        hr = np.asarray(Image.open(path))
        values.append(_psnr(load(str(low))(_half(path)), hr))
    assert np.mean(values) == pytest.approx(cost["psnr"], abs=0.02)


def _half(path: Path) -> np.ndarray:
    """By MATLAB's bicubic, rounded."""
    from sr.data.pairs import derive_lr
    from sr.io.images import read_image

    return derive_lr(read_image(path), 2, 2).permute(1, 2, 0).numpy()


def _psnr(out: np.ndarray, hr: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(out.astype(float) - hr).mean()))


def test_what_cannot_be_measured_is_refused_in_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    single = tmp_path / "single"
    single.mkdir()
    shutil.copy(photos / "0.png", single)
    out = tmp_path / "net.onnx"
    for words, message in (
        (["--precision", "int8"], "add --images DIR with sharp images"),
        (["--precision", "int4"], "--precision must be one of float32, float16, int8, got 'int4'"),
        (["--images", str(photos)], "is for --precision float16 and int8"),
        (["--precision", "int8", "--images", str(tmp_path / "none")], "no such folder"),
        (["--precision", "int8", "--images", str(single)], "has 1 images, at least 2 are needed"),
    ):
        with pytest.raises(SystemExit) as exit_info:
            main(["export", "espcn_x2", "-o", str(out), *words])
        assert exit_info.value.code == 2
        assert message in capsys.readouterr().err
    with pytest.raises(UserError, match=r"is for \*\.onnx"):
        export_low_precision(SOURCE, tmp_path / "net.safetensors", None, "int8", photos)
    assert not out.exists()
