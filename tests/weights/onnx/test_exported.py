import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sr import load
from sr.cli import main
from sr.errors import UserError
from sr.image import _enlarge_any_size, resize
from sr.nets.autoencoder import Autoencoder
from sr.nets.compact import Compact
from sr.nets.edsr import EDSR
from sr.nets.espcn import ESPCN
from sr.nets.fsrcnn import FSRCNN
from sr.nets.resblock import ResBlockNet
from sr.nets.rlfn import RLFN
from sr.nets.span import SPAN
from sr.nets.vdsr import VDSR
from sr.weights.checkpoint import load_network, network_config, save_network
from sr.weights.find import find_model
from sr.weights.onnx import exported as onnx_module
from sr.weights.onnx import session as onnx_session
from sr.weights.onnx.exported import OnnxNetwork, export
from sr.weights.onnx.session import METADATA
from tests.support.images import photograph
from tests.support.networks import randomise_output

NETWORKS = {
    "espcn.ESPCN": ESPCN,
    "vdsr.VDSR": VDSR,
    "autoencoder.Autoencoder": Autoencoder,
    "edsr.EDSR": EDSR,
    "fsrcnn.FSRCNN": FSRCNN,
    "resblock.ResBlockNet": ResBlockNet,
    "span.SPAN": SPAN,
    "rlfn.RLFN": RLFN,
    "compact.Compact": Compact,
}
SMALL = {name: {"num_blocks": 2, "channels": 8} for name in NETWORKS if not name.startswith(("espcn", "autoencoder"))}


def save_model(folder: Path, name: str, scale: int, scales: list[int] | None = None) -> Path:
    torch.manual_seed(0)
    net: nn.Module = NETWORKS[name](scale=scale, **SMALL.get(name, {}))
    randomise_output(net, std=0.03)
    config = {"_target_": f"sr.nets.{name}", "scale": scale, **SMALL.get(name, {})}
    save_network(folder / "net.safetensors", net, network_config(config, scale, "rgb", scales))
    return folder / "net.safetensors"


@pytest.mark.parametrize("size", [(2, 2), (5, 7), (24, 31)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_enlargement_of_any_size_is_bicubic(scale: int, size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(_enlarge_any_size(image, scale), resize(image, scale), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        pytest.param(name, scale, marks=() if (name, scale) == ("espcn.ESPCN", 2) else pytest.mark.slow)
        for name, scale in [*((name, 2) for name in NETWORKS), ("espcn.ESPCN", 3), ("vdsr.VDSR", 1)]
    ],
)
def test_an_exported_network_enlarges_any_size_as_torch_does(tmp_path: Path, name: str, scale: int) -> None:
    pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")
    source = save_model(tmp_path, name, scale)
    assert export(source, tmp_path / "net.onnx") < 1e-5
    model = find_model(str(tmp_path / "net.onnx"))
    assert model.scale == scale
    torch_net, onnx_net = load_network(source)[0], model.nets[0]
    for shape in ((1, 3, 8, 8), (2, 3, 37, 50), (1, 3, 2, 90)):
        lr = torch.rand(shape)
        with torch.inference_mode():
            torch.testing.assert_close(onnx_net(lr), torch_net(lr), rtol=0, atol=1e-4)
    pixels = np.asarray(photograph(50, 60, seed=1))
    assert load(str(tmp_path / "net.onnx")).tile == 256
    assert onnx_net(torch.rand(1, 3, 1, 5)).shape == (1, 3, scale, 5 * scale)
    output = load(str(tmp_path / "net.onnx"), tile=16)(pixels)  # in tiles: the file states the width of the margin
    assert np.abs(output.astype(int) - load(str(source), tile=0, device="cpu", precision="float32")(pixels)).max() <= 1


def test_safetensors_carry_the_config(tmp_path: Path) -> None:
    source = save_model(tmp_path, "espcn.ESPCN", 2)
    export(source, tmp_path / "copy.safetensors")
    original, copy = load_network(source), load_network(tmp_path / "copy.safetensors")
    assert original[1] == copy[1]
    assert all(torch.equal(a, b) for a, b in zip(original[0].parameters(), copy[0].parameters(), strict=True))


def test_impossible_exports_and_unreadable_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")
    source = save_model(tmp_path, "vdsr.VDSR", 1, [2, 3])
    for target, message in (("net.onnx", "enlarges by 2, 3: choose with --scale"), ("net.pt", "unknown format")):
        with pytest.raises(UserError, match=message):
            export(source, tmp_path / target)
    (tmp_path / "bad.onnx").write_text("no network")
    with pytest.raises(UserError, match=r"bad\.onnx: cannot be read as an ONNX file"):
        find_model(str(tmp_path / "bad.onnx"))
    with pytest.raises(SystemExit):
        main(["export", str(source), "-o", str(tmp_path / "net.onnx")])
    assert not (tmp_path / "net.onnx").exists()
    main(["export", str(source), "-o", str(tmp_path / "net.onnx"), "--scale", "3"])
    assert "net.onnx: written, at most" in capsys.readouterr().out
    with pytest.raises(UserError, match="is a network for scale 3, not 2"):
        find_model(str(tmp_path / "net.onnx"), 2)


def test_onnx_files_are_refused_by_size_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="needs sr-compare[onnx]")
    path = tmp_path / "net.onnx"
    path.write_bytes(bytes(100))
    monkeypatch.setattr(onnx_session, "_MAX_FILE_BYTES", 99)
    with pytest.raises(UserError, match="it is not a file, or is too large"):
        OnnxNetwork(path)
    with pytest.raises(UserError, match="it is not a file, or is too large"):
        OnnxNetwork(tmp_path)


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        ({"scale": 0}, "its scale is not an integer from 1 to 64"),
        ({"scale": 65}, "its scale is not an integer from 1 to 64"),
        ({"halo": -1}, "its halo is not an integer from 0 to 4096"),
        ({"align": 0}, "its align is not an integer from 1 to 4096"),
        ({"align": 2.0}, "its align is not an integer from 1 to 4096"),
    ],
)
def test_an_onnx_file_with_impossible_properties_is_refused(
    tmp_path: Path, usage: dict[str, float], message: str
) -> None:
    onnx = pytest.importorskip("onnx", reason="needs sr-compare[onnx]")
    proto = onnx.ModelProto()
    properties = {"scale": 2, "halo": 1, "align": 1} | usage
    proto.metadata_props.add(key=METADATA, value=json.dumps(properties))
    (tmp_path / "net.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(UserError, match=message):
        OnnxNetwork(tmp_path / "net.onnx")


def test_what_onnx_runtime_computes_otherwise_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")
    monkeypatch.setattr(onnx_module, "_max_difference", lambda net, content: 0.01)
    with pytest.raises(UserError, match=r"ONNX Runtime's result differs from torch's by 0\.01: not exported"):
        export(save_model(tmp_path, "espcn.ESPCN", 2), tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize("channels", [1, 4])
def test_a_network_for_other_channels_is_exported_and_used_like_its_checkpoint(tmp_path: Path, channels: int) -> None:
    net = ESPCN(scale=2, channels=8, image_channels=channels).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.05)
    model = {"_target_": "sr.nets.espcn.ESPCN", "scale": 2, "channels": 8, "image_channels": channels}
    save_network(tmp_path / "net.safetensors", net, network_config(model, 2, "rgb"))
    export(tmp_path / "net.safetensors", tmp_path / "net.onnx")
    exported = load(str(tmp_path / "net.onnx"))
    assert exported.channels == channels
    pixels = np.random.default_rng(0).integers(0, 256, (12, 17, channels), dtype=np.uint8)
    original = load(str(tmp_path / "net.safetensors"), device="cpu", precision="float32")
    assert np.abs(exported(pixels).astype(int) - original(pixels)).max() <= 1  # rounding
