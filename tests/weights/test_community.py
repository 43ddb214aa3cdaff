"""Models of others: recognised by spandrel, read by sr, and used like its own."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from PIL import Image

import sr
from sr import architectures
from sr.cli import main
from sr.errors import UserError
from sr.inference.tiles import enlarge_in_tiles
from sr.machine.cost import count_parameters, multiply_adds
from sr.nets.espcn import ESPCN
from sr.terms import WHOLE_IMAGE
from sr.weights.community import CommunityNetwork, open_network
from sr.weights.find import find_model
from sr.weights.onnx.exported import export
from tests.support.community import NETWORKS, built, needs_spandrel, spandrel_output
from tests.support.images import photograph

pytestmark = needs_spandrel


def saved(state: dict[str, Any], path: Path, place: str = "") -> Path:
    """Write a state dict with `torch.save`, or as safetensors by the name of the file."""
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save({place: state} if place else state, path)
    return path


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("file", "place"), [("a.pth", ""), ("a.pth", "params_ema"), ("a.pt", "params"), ("a.safetensors", "")]
)
def test_results_equal_those_of_spandrel(tmp_path: Path, name: str, file: str, place: str) -> None:
    state = built(name).state_dict()
    net, config = open_network(saved(state, tmp_path / file, place))
    lr = torch.rand(1, 3, 21, 34, generator=torch.Generator().manual_seed(1))
    expected = spandrel_output(state, lr)
    assert torch.allclose(net(lr), expected, atol=1e-6)
    assert net(lr).shape == expected.shape == (1, 3, config["scale"] * 21, config["scale"] * 34)
    assert config["scales"] == [config["scale"]]


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_equal_the_whole_image(tmp_path: Path, name: str) -> None:
    net, config = open_network(saved(built(name).state_dict(), tmp_path / "a.pth"))
    lr = torch.rand(1, 3, 75, 61, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        whole = net(lr)
    assert isinstance(net, CommunityNetwork)
    assert net.halo < WHOLE_IMAGE
    tiles = [*enlarge_in_tiles(net, lr, config["scale"], 20)]
    assert len(tiles) >= 12
    for top, left, part in tiles:
        height, width = part.shape[-2:]
        assert torch.allclose(part, whole[..., top : top + height, left : left + width], atol=1e-5)


def test_half_precision_weights_are_used_in_float32(tmp_path: Path) -> None:
    state = built("compact").half().state_dict()
    net, _ = open_network(saved(state, tmp_path / "a.pth"))
    lr = torch.rand(1, 3, 8, 8)
    assert torch.allclose(
        net(lr), spandrel_output({name: value.float() for name, value in state.items()}, lr), atol=1e-6
    )


def test_names_of_parallel_training_are_understood(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in built("compact").state_dict().items()}
    assert open_network(saved(state, tmp_path / "a.pth", "params"))[1]["scale"] == 2


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    averaged = built("compact").state_dict()
    last = {name: value + 1 for name, value in averaged.items()}
    torch.save({"params": last, "params_ema": averaged}, tmp_path / "a.pth")
    net, _ = open_network(tmp_path / "a.pth")
    assert isinstance(net, CommunityNetwork)
    assert all(torch.equal(value, averaged[name]) for name, value in net.model.state_dict().items())


def test_model_and_licence_are_said_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "sharp.safetensors"
    state = built("compact").state_dict()
    safetensors.torch.save_file(state, path, {"modelspec.license": "CC-BY-4.0\nand more"})
    model = find_model(str(path))
    assert (model.label, model.scale) == ("sharp", 2)
    (line,) = caplog.messages
    assert line.startswith(f"{path}: RealESRGAN Compact (8nf, 2nc), x2, tiles with a margin of ")
    assert line.endswith("; licence: CC-BY-4.0")


def test_evaluate_scores_it_by_the_name_of_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(built("compact").state_dict(), tmp_path / "sharp.pth")
    (tmp_path / "data").mkdir()
    photograph(48, 56).save(tmp_path / "data" / "a.png")
    main(["evaluate", str(path), "--data", str(tmp_path / "data"), "--json", str(tmp_path / "a.json")])
    assert "sharp" in capsys.readouterr().out
    rows = json.loads((tmp_path / "a.json").read_text())
    assert "sharp" in json.dumps(rows)
    assert str(path) not in json.dumps(rows)


def test_predict_writes_what_spandrel_computes(tmp_path: Path) -> None:
    state = built("compact").state_dict()
    path = saved(state, tmp_path / "a.pth")
    image = Image.effect_noise((33, 20), 60).convert("RGB")
    image.save(tmp_path / "in.png")
    main(
        [
            "predict",
            str(tmp_path / "in.png"),
            "-m",
            str(path),
            "-o",
            str(tmp_path / "out.png"),
            "--precision",
            "float32",
        ]
    )
    lr = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, 20, 33, 3).permute(0, 3, 1, 2) / 255
    expected = spandrel_output(state, lr).mul(255).round()[0].permute(1, 2, 0)
    with Image.open(tmp_path / "out.png") as written:
        actual = torch.frombuffer(bytearray(written.tobytes()), dtype=torch.uint8).view(40, 66, 3)
    assert (actual - expected).abs().max() <= 1
    assert sr.load(str(path))(image).size == (66, 40)


def test_its_costs_are_those_of_the_network(tmp_path: Path) -> None:
    net, _ = open_network(saved(built("compact").state_dict(), tmp_path / "a.pth"))
    parameters = 3 * 8 * 9 + 8 + 8 + 2 * (8 * 8 * 9 + 8 + 8) + 8 * 12 * 9 + 12  # convolutions with biases, and PReLUs
    assert count_parameters(net) == parameters
    assert multiply_adds(net, 2) == 128 * 128 * (3 * 8 * 9 + 2 * 8 * 8 * 9 + 8 * 12 * 9)


def test_export_as_safetensors_can_be_loaded_again(tmp_path: Path) -> None:
    path = saved(built("compact").state_dict(), tmp_path / "a.pth")
    main(["export", str(path), "-o", str(tmp_path / "b.safetensors")])
    lr = torch.rand(1, 3, 9, 9)
    assert torch.equal(open_network(tmp_path / "b.safetensors")[0](lr), open_network(path)[0](lr))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_export_as_onnx_gives_the_same_image(tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")
    path = saved(built(name).state_dict(), tmp_path / "a.pth")
    main(["export", str(path), "-o", str(tmp_path / "a.onnx")])
    lr = torch.rand(1, 3, 20, 31)
    exported = find_model(str(tmp_path / "a.onnx")).nets[0]
    assert torch.allclose(exported(lr), open_network(path)[0](lr), atol=1e-4)


@pytest.mark.slow
def test_gray_networks_are_exported_as_such(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")
    path = saved(with_channels(1, 1), tmp_path / "a.pth")
    main(["export", str(path), "-o", str(tmp_path / "a.onnx")])
    lr = torch.rand(1, 1, 20, 31)
    assert torch.allclose(find_model(str(tmp_path / "a.onnx")).nets[0](lr), open_network(path)[0](lr), atol=1e-4)


def test_what_cannot_be_exported_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("torch says\nmany lines")

    monkeypatch.setattr(torch.onnx, "export", fail)
    path = saved(built("compact").state_dict(), tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth: RealESRGAN Compact cannot be exported \(torch says\)$"):
        export(path, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


def test_another_scale_is_refused(tmp_path: Path) -> None:
    path = saved(built("compact").state_dict(), tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth: is a network for scale 2, not 3: --scale 2"):
        find_model(str(path), 3)


def test_weights_of_no_known_architecture_are_refused(tmp_path: Path) -> None:
    path = saved(ESPCN(scale=2).state_dict(), tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth: is not a checkpoint of sr \(no config\), and spandrel knows no"):
        find_model(str(path))


def with_channels(inputs: int, outputs: int) -> dict[str, torch.Tensor]:
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = Compact(
        num_in_ch=inputs, num_out_ch=outputs, num_feat=8, num_conv=2, upscale=2
    ).state_dict()
    return state


def test_gray_models_enlarge_gray_and_the_luma_of_colours(tmp_path: Path) -> None:
    path = saved(with_channels(1, 1), tmp_path / "a.pth")
    lr = torch.rand(1, 1, 9, 12)
    expected = spandrel_output(with_channels(1, 1), lr)
    enlarger = sr.load(str(path), precision="float32", device="cpu")
    assert torch.allclose(enlarger(lr), expected, atol=1e-6)
    assert enlarger(Image.new("RGB", (9, 12), "red")).size == (18, 24)


def test_models_that_make_other_channels_than_they_take_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="RealESRGAN Compact that makes 3 channels of 1: not 1 or 3 of as many"):
        open_network(saved(with_channels(1, 3), tmp_path / "a.pth"))


def test_models_for_other_uses_are_refused_before_they_are_built(tmp_path: Path) -> None:
    names = ("model.model.1.bn_l.running_mean", "generator.model.1.bn_l.running_mean")
    state = {name: torch.zeros(2) for name in names}
    with pytest.raises(UserError, match=r"a\.pth: is a model of LaMa, which is for filling holes"):
        open_network(saved(state, tmp_path / "a.pth"))


def test_without_spandrel_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(built("compact").state_dict(), tmp_path / "a.pth")
    architectures.import_spandrel.cache_clear()
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UserError, match=r"sr-compare\[community\].*pip install --no-deps spandrel einops$"):
        open_network(path)
    architectures.import_spandrel.cache_clear()


_LOAD = """
import sys
from sr.weights.community import CommunityNetwork, open_network
open_network(__import__("pathlib").Path(sys.argv[1]))
print(getattr(sys.modules.get("torchvision"), "__file__", None))
"""


def torchvision_after_loading(model: Path, packages: Path) -> str:
    """The file of the module ``torchvision`` once a model was loaded in a process that finds more packages."""
    path = f"{packages}:{Path(sr.__file__).parents[1]}"
    command = [sys.executable, "-c", _LOAD, str(model)]
    done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "raise RuntimeError('operator torchvision::nms does not exist')"])
def test_torchvision_is_used_only_where_it_works(tmp_path: Path, content: str) -> None:
    model = saved(built("compact").state_dict(), tmp_path / "a.pth")
    package = tmp_path / "packages" / "torchvision"
    (package / "transforms").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "transforms" / "__init__.py").touch()
    (package / "transforms" / "functional.py").write_text(content or "normalize = rotate = InterpolationMode = None")
    expected = "None" if content else str(package / "__init__.py")
    assert torchvision_after_loading(model, package.parent) == expected


def test_no_torchvision_is_left_behind(tmp_path: Path) -> None:
    open_network(saved(built("compact").state_dict(), tmp_path / "a.pth"))
    if find_spec("torchvision") is None:
        assert not [name for name in sys.modules if name.startswith("torchvision")]


def test_the_demo_offers_it_by_the_name_of_its_file(tmp_path: Path) -> None:
    from sr.demo.choices import find_models

    path = saved(built("compact").state_dict(), tmp_path / "sharp.pth")
    choices = find_models(tmp_path, [str(path)])
    assert choices["sharp"] == (str(path), 2)
    assert "espcn_x2" in choices
