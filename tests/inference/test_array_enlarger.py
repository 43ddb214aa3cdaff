"""Exported networks enlarge pictures without torch as they do with it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sr.errors import UserError
from sr.image import resize
from sr.inference.array_enlarger import ArrayEnlarger
from sr.inference.enlarger import Enlarger
from sr.nets.espcn import ESPCN
from sr.weights.checkpoint import network_config, save_network
from sr.weights.find import find_model
from sr.weights.model import Model
from sr.weights.onnx.exported import export
from sr.weights.onnx.network import ExportedNetwork, exported_model
from tests.support.networks import randomise_output

pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")


def exported(folder: Path, channels: int = 3, scale: int = 2) -> Path:
    torch.manual_seed(0)
    model = {"_target_": "sr.nets.espcn.ESPCN", "scale": scale, "channels": 8, "image_channels": channels}
    net: nn.Module = ESPCN(scale=scale, channels=8, image_channels=channels)
    randomise_output(net, std=0.1)
    save_network(folder / "net.safetensors", net, network_config(model, scale, "rgb"))
    export(folder / "net.safetensors", folder / "net.onnx")
    return folder / "net.onnx"


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("colour"))


@pytest.fixture(scope="module")
def luma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("luma"), channels=1)


def array_model(path: Path) -> Model:
    return exported_model(path, ExportedNetwork(path), None)


def picture(channels: int, dtype: type = np.uint8, height: int = 37, width: int = 50) -> np.ndarray:
    generator = np.random.default_rng(channels)
    coarse = generator.random((height // 6 + 2, width // 6 + 2, channels))
    smooth = coarse.repeat(6, 0).repeat(6, 1)[:height, :width] * 0.8 + 0.2 * generator.random((height, width, channels))
    pixels: np.ndarray = (smooth * np.iinfo(dtype).max).astype(dtype)
    if channels in (2, 4):
        pixels[:8, :, -1] = 0  # hidden
    return pixels


def both(path: Path, pixels: np.ndarray, **settings: object) -> tuple[np.ndarray, np.ndarray]:
    without = ArrayEnlarger(array_model(path), **settings)  # type: ignore[arg-type]
    with_torch = Enlarger(find_model(str(path)), device="cpu", **settings)  # type: ignore[arg-type]
    outs = [np.concatenate(list(enlarger.strips(pixels))) for enlarger in (without, with_torch)]
    return outs[0], outs[1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("settings", [{}, {"tile": 16}, {"wrap": True, "tile": 16}], ids=str)
def test_colours_are_equal_to_those_of_torch(colour: Path, settings: dict[str, object], dtype: type) -> None:
    without, with_torch = both(colour, picture(3, dtype), **settings)
    assert without.dtype == dtype
    assert without.shape == (74, 100, 3)
    assert np.array_equal(without, with_torch)
    assert without.std() > np.iinfo(dtype).max / 50


@pytest.mark.parametrize("network", ["colour", "luma"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("ensemble", [False, True])
def test_gray_alpha_and_luma_are_within_a_level_of_those_of_torch(
    network: str, channels: int, ensemble: bool, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(network)
    without, with_torch = both(path, picture(channels), ensemble=ensemble)
    difference = np.abs(without.astype(int) - with_torch.astype(int))
    assert difference.max() <= 1  # sums are rounded in another order
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_tiny_pictures_are_enlarged(colour: Path, size: tuple[int, int]) -> None:
    without, with_torch = both(colour, picture(3, np.uint8, *size))
    assert np.array_equal(without, with_torch)


def test_bicubic_is_that_of_torch(colour: Path) -> None:
    pixels = picture(4)
    without = np.concatenate(list(ArrayEnlarger(array_model(colour)).bicubic().strips(pixels)))
    with_torch = np.concatenate(list(Enlarger(find_model(str(colour)), device="cpu").bicubic().strips(pixels)))
    assert np.abs(without.astype(int) - with_torch.astype(int)).max() <= 1


@pytest.mark.parametrize("bands", [2, 4, 5])
@pytest.mark.parametrize("ensemble", [False, True])
def test_bands_are_enlarged_one_by_one_and_none_is_transparency(tmp_path: Path, bands: int, ensemble: bool) -> None:
    path = exported(tmp_path, channels=bands)
    pixels = picture(bands, np.uint16)
    pixels[:8, :, -1] = 0
    without, with_torch = both(path, pixels, ensemble=ensemble)
    assert np.abs(without.astype(int) - with_torch.astype(int)).max() <= 1
    for enlarger in (ArrayEnlarger(array_model(path)), Enlarger(find_model(str(path)), device="cpu")):
        bicubic = np.concatenate(list(enlarger.bicubic().strips(pixels)))
        for band in range(bands):
            single = torch.from_numpy(pixels[None, None, ..., band].astype(np.float64) / 65535)
            expected = resize(single, 2)[0, 0].clamp(0, 1).mul(65535).round().numpy()
            assert np.abs(bicubic[..., band] - expected).max() <= 1


def test_other_channels_and_tiles_below_zero_are_refused(colour: Path) -> None:
    with pytest.raises(UserError, match="enlarges images of 3 channels, not of 5"):
        next(ArrayEnlarger(array_model(colour)).strips(picture(5)))
    with pytest.raises(UserError, match="--tile must be an integer of 0 or more, got -1"):
        ArrayEnlarger(array_model(colour), tile=-1)


def test_a_tile_that_needs_too_much_memory_is_halved(
    colour: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = array_model(colour)
    expected = np.concatenate(list(ArrayEnlarger(model, tile=32).strips(picture(3, np.uint8, 70, 90))))
    whole = ExportedNetwork.__call__

    def limited(net: ExportedNetwork, lr: np.ndarray) -> np.ndarray:
        if lr.shape[-1] > 60:
            raise MemoryError("it needs more than 4 GiB of memory")
        return whole(net, lr)

    monkeypatch.setattr(ExportedNetwork, "__call__", limited)
    out = np.concatenate(list(ArrayEnlarger(model, tile=64).strips(picture(3, np.uint8, 70, 90))))
    assert "not enough memory for tiles of 64 pixels: retrying with 32" in caplog.text
    assert np.abs(out.astype(int) - expected).max() <= 1


_WITHOUT_TORCH = """
import sys
for name in ("torch", "lightning", "hydra", "omegaconf", "torchmetrics", "tensorboard"):
    sys.modules[name] = None  # as if it were not installed
from sr.cli import main
main(sys.argv[1:])
"""


def predict_without_torch(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", _WITHOUT_TORCH, "predict", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_sr_predict_runs_an_exported_network_without_torch(tmp_path: Path, colour: Path) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    Image.fromarray(picture(3)).save(inputs / "a.png")
    Image.fromarray(picture(4)).save(inputs / "b.webp", lossless=True, exact=True)
    Image.fromarray(picture(1, np.uint16)[..., 0]).save(inputs / "c.tif")
    frames = [Image.fromarray(picture(3)), Image.fromarray(picture(3)[::-1])]
    frames[0].save(inputs / "d.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    (inputs / "e.jpg").write_bytes(b"no picture")
    options = ("-m", colour, "-o", tmp_path / "out", "--compare", "--frames", "all")
    result = predict_without_torch(inputs, *options)
    assert result.returncode == 1
    assert result.stderr.count("error: ") == 1
    assert "e.jpg: cannot be read as an image" in result.stderr
    assert "enlarged 4 of 5 files" in result.stderr
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "a.png")), both(colour, picture(3))[0])
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == [
        *("a.png", "a_bicubic.png", "b.webp", "b_bicubic.webp"),
        *("c.tif", "c_bicubic.tif", "d.gif", "d_bicubic.gif"),
    ]
    again = predict_without_torch(inputs, *options, "--resume")
    assert "4 were done before" in again.stderr


@pytest.mark.parametrize("arguments", [("-m", "espcn_x2"), ("-m", "missing.onnx"), ("-m", "colour", "--trust", "foo")])
def test_what_needs_torch_says_so_in_one_line(tmp_path: Path, colour: Path, arguments: tuple[str, ...]) -> None:
    Image.fromarray(picture(3)).save(tmp_path / "a.png")
    words = [str(colour) if word == "colour" else word for word in arguments]
    result = predict_without_torch(tmp_path / "a.png", *words, "-o", tmp_path / "b.png")
    assert result.returncode == 2
    assert result.stderr.startswith("error: torch is not installed, and only networks that sr export wrote")
    assert result.stderr.count("\n") == 1


def test_wrong_options_are_refused_without_torch(tmp_path: Path, colour: Path) -> None:
    Image.fromarray(picture(3)).save(tmp_path / "a.png")
    wrong = predict_without_torch(tmp_path / "a.png", "-m", colour, "-o", tmp_path / "b.png", "--scale", "3")
    assert wrong.returncode == 2
    assert wrong.stderr == f"error: {colour}: is a network for scale 2, not 3\n"
    hinted = predict_without_torch(tmp_path / "a.png", "-m", colour, "-o", tmp_path / "b.png", "--halo", "3")
    assert hinted.returncode == 2
    assert "--halo" in hinted.stderr
    said = predict_without_torch(tmp_path / "a.png", "-m", colour, "-o", tmp_path / "b.png", "--device", "cuda")
    assert said.returncode == 0
    assert "ONNX Runtime computes on the CPU, in float32" in said.stderr
    unknown = predict_without_torch(tmp_path / "a.png", "-m", colour, "-o", tmp_path / "c.png", "--device", "nonsense")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("error: --device must be one of cpu, cuda, mps, xpu")
    quiet = predict_without_torch(tmp_path / "a.png", "-m", colour, "-o", tmp_path / "c.png", "--device", "cpu:0")
    assert (quiet.returncode, quiet.stderr) == (0, "")
