"""Networks of spandrel that are trained here."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sr import architectures
from sr.cli import main
from sr.errors import UserError
from sr.inference.tiles import enlarge_in_tiles
from sr.nets.community import Community
from sr.terms import WHOLE_IMAGE, NetworkConfig
from sr.weights.checkpoint import build_network, network_config
from sr.weights.community import open_network
from sr.weights.contract import check_network
from sr.weights.initial import copy_weights
from sr.weights.onnx.exported import export
from tests.support.community import needs_spandrel, spandrel_output
from tests.support.runs import SMALL, Command, MakeFolder, result_of

pytestmark = needs_spandrel

SWINIR = {"embed_dim": 12, "depths": [2], "num_heads": [2]}
NETWORKS: dict[str, dict[str, Any]] = {
    "SwinIR": SWINIR,
    "Compact": {"num_feat": 8, "num_conv": 2},
    "SPAN": {"feature_channels": 8},
    "RealPLKSR": {"dim": 16, "n_blocks": 1, "kernel_size": 5},
}


def built(arch: str, scale: int = 2, channels: int = 3) -> Community:
    torch.manual_seed(0)
    return Community(scale, arch, channels, **NETWORKS[arch])


def config_of(arch: str, scale: int = 2) -> NetworkConfig:
    model = {"_target_": "sr.nets.community.Community", "scale": scale, "arch": arch, "image_channels": 3}
    return network_config({**model, **NETWORKS[arch]}, scale, "rgb")


@pytest.mark.parametrize("arch", NETWORKS)
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_any_size_is_multiplied_by_the_scale(arch: str, scale: int) -> None:
    net = built(arch, scale).eval()
    for height, width in ((1, 1), (5, 19), (17, 8)):
        assert net(torch.rand(2, 3, height, width)).shape == (2, 3, scale * height, scale * width)


@pytest.mark.parametrize("arch", NETWORKS)
def test_spandrel_makes_the_same_of_its_weights(arch: str) -> None:
    net = built(arch).eval()
    lr = torch.rand(1, 3, 21, 34, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = spandrel_output(net.model.state_dict(), lr)
        assert torch.allclose(net(lr).clamp(0, 1), expected, atol=1e-5)


@pytest.mark.parametrize("arch", NETWORKS)
def test_a_checkpoint_of_it_is_read_back(arch: str) -> None:
    net, config = built(arch), config_of(arch)
    check_network(net, config)
    again = build_network(config, net.state_dict())
    lr = torch.rand(1, 3, 18, 20)
    with torch.no_grad():
        assert torch.equal(again(lr), net.eval()(lr))
    assert again.halo == net.halo
    assert again.align == net.align


def test_tiles_equal_the_whole_image_where_they_are_used() -> None:
    net, config = built("Compact"), config_of("Compact")
    check_network(net, config)
    assert config["halo"] == 4  # of four 3x3 convolutions
    lr = torch.rand(1, 3, 50, 40)
    with torch.no_grad():
        whole = net.eval()(lr)
    for top, left, part in enlarge_in_tiles(net, lr, 2, 16):
        rows, columns = (slice(at, at + size) for at, size in ((top, part.shape[2]), (left, part.shape[3])))
        assert torch.allclose(part, whole[..., rows, columns], atol=1e-5)
    assert built("SwinIR").halo == WHOLE_IMAGE  # spandrel discourages tiles


@pytest.mark.parametrize("arch", NETWORKS)
def test_gradients_reach_the_weights_under_bfloat16_and_images_are_float32(arch: str) -> None:
    net, lr = built(arch), torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        out = net.train()(lr)
        in_use = net.eval()(lr)
    assert out.dtype == torch.float32
    out.square().mean().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())
    with torch.no_grad():
        assert torch.equal(in_use, net(lr))


def test_weights_of_others_are_initial_ones(tmp_path: Path) -> None:
    theirs, net = built("SwinIR"), built("SwinIR")
    torch.save({"params": theirs.model.state_dict()}, tmp_path / "swinir.pth")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    copied = copy_weights(net, tmp_path / "swinir.pth")
    assert not copied.fresh
    assert not copied.unused
    assert torch.equal(net.eval()(torch.ones(1, 3, 16, 16)), theirs.eval()(torch.ones(1, 3, 16, 16)))


def test_gray_networks_take_gray_images() -> None:
    assert built("Compact", channels=1)(torch.rand(1, 1, 9, 8)).shape == (1, 1, 18, 16)


@pytest.mark.parametrize(
    ("arch", "options", "message"),
    [
        ("Swinir", {}, r"model.arch=Swinir: spandrel has no 'Swinir'; did you mean .*SwinIR"),
        ("qqq", {}, r"model.arch=qqq: spandrel has no 'qqq': it has ATD, .*SwinIR"),
        ("LaMa", {}, "model.arch=LaMa: LaMa is for filling holes, not for enlarging images"),
        ("SwinIR", {"embed": 3}, r"model.embed: SwinIR has no such option; did you mean model.embed_dim\?"),
        ("Compact", {"upscale": 4}, "model.upscale: is set by scale and data.channels: remove this option"),
        ("SAFMN", {}, r"model.arch=SAFMN: needs \+model.dim=\.\.\."),
        ("SwinIR", {"window_size": 9}, "model.arch=SwinIR: cannot be built with these options"),
        ("DnCNN", {}, "enlarges 3 channels to 3 by 1 with these options, not 3 channels by 2"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(arch: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Community(2, arch, **options)


def test_without_spandrel_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    architectures.import_spandrel.cache_clear()
    monkeypatch.setattr(architectures, "_classes", architectures._classes.__wrapped__)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UserError, match=r"model.arch=SwinIR: needs the package spandrel: pip install .*\[community\]"):
        Community(2, "SwinIR")
    architectures.import_spandrel.cache_clear()


def test_a_checkpoint_cannot_ask_for_more_memory_than_its_weights_are_for() -> None:
    config, weights = config_of("SwinIR"), built("SwinIR").state_dict()
    config["model"]["img_size"] = 1000
    with pytest.raises(UserError, match="describes a"):
        build_network(config, weights)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["Compact", "SPAN"])
def test_it_is_trained_resumed_scored_and_exported(
    command: Command, make_folder: MakeFolder, tmp_path: Path, arch: str
) -> None:
    pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")
    options = ["model=community", f"model.arch={arch}", "scale=2"]
    options += [f"+model.{name}={value}" for name, value in NETWORKS[arch].items()]
    options += ["data=folder", f"data.root={make_folder()}", "logger=none", *SMALL]
    for epochs in (1, 2):
        code, text = command(*options, f"trainer.max_epochs={epochs}")
        assert code == 0, text
    assert result_of(tmp_path / "run")["epochs"] == 2
    main(["evaluate", str(tmp_path / "run"), "--data", str(make_folder(name="others"))])
    export(tmp_path / "run" / "checkpoints" / "best.ckpt", tmp_path / "a.safetensors")
    assert isinstance(open_network(tmp_path / "a.safetensors")[0], Community)
    assert export(tmp_path / "run" / "checkpoints" / "best.ckpt", tmp_path / "a.onnx") < 1e-4
