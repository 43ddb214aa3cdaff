"""LPIPS and DISTS on seeded weights, against the computation in torchmetrics, which is that of their authors."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import dists as their_dists
from torchmetrics.functional.image import lpips as their_lpips

from sr.benchmark.named_metrics import named_metrics
from sr.errors import UserError
from sr.metrics.perceptual import DISTS, LPIPS
from sr.train import config_dir
from tests.support.vgg import vgg_features

_CHANNELS = (64, 128, 256, 512, 512)


def seeded_vgg() -> nn.Sequential:
    """VGG16's features, with activations of about the same size in each layer."""
    net = vgg_features()
    for number, layer in enumerate(net):
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, generator=torch.Generator().manual_seed(number + 2))
    return net


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Sequential]:
    """A folder with ``vgg16.pth``, ``vgg.pth`` and ``weights.pt``, and the network of the first."""
    folder, net = tmp_path_factory.mktemp("weights"), seeded_vgg()
    torch.save({f"features.{name}": value for name, value in net.state_dict().items()}, folder / "vgg16.pth")
    generator = torch.Generator().manual_seed(5)
    lines = {f"lin{n}.model.1.weight": torch.rand(1, c, 1, 1, generator=generator) for n, c in enumerate(_CHANNELS)}
    torch.save(lines, folder / "vgg.pth")
    shape = (1, 3 + sum(_CHANNELS), 1, 1)
    torch.save({name: torch.rand(shape, generator=generator) for name in ("alpha", "beta")}, folder / "weights.pt")
    return folder, net


def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 40, 53, generator=generator)
    return (hr + 0.1 * torch.randn(hr.shape, generator=generator)).clamp(0, 1), hr


def test_lpips_agrees_with_the_reference(files: tuple[Path, nn.Sequential], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, net = files
    monkeypatch.setattr(their_lpips, "_get_tv_model_features", lambda *_: net)
    reference = their_lpips._LPIPS(net="vgg", model_path=str(folder / "vgg.pth"))
    sr, hr = pair()
    with torch.no_grad():
        expected = reference(sr, hr, normalize=True).flatten()
    actual = LPIPS(str(folder / "vgg16.pth"), str(folder / "vgg.pth"))(sr, hr)
    assert expected.min() > 0.05
    assert actual.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_dists_agrees_with_the_reference(files: tuple[Path, nn.Sequential], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, net = files
    for name, value in {
        "_TORCHVISION_AVAILABLE": True,
        "VGG16_Weights": SimpleNamespace(DEFAULT=None),
        "vgg16": lambda **_: SimpleNamespace(features=net),
    }.items():
        monkeypatch.setattr(their_dists, name, value, raising=False)
    reference = their_dists.DISTSNetwork(load_weights=False)
    for name, value in torch.load(folder / "weights.pt").items():
        getattr(reference, name).data = value
    sr, hr = pair()
    expected = reference(sr, hr, require_grad=True).detach().flatten()
    actual = DISTS(str(folder / "vgg16.pth"), str(folder / "weights.pt"))(sr, hr)
    assert expected.min() > 0.01
    assert actual.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("kind", [LPIPS, DISTS])
def test_equal_images_have_no_distance_and_the_authors_weights_come_with_torchmetrics(
    files: tuple[Path, nn.Sequential], kind: Any
) -> None:
    _, hr = pair()
    metric = kind(str(files[0] / "vgg16.pth"))
    assert metric(hr, hr).tolist() == pytest.approx([0, 0], abs=1e-6)
    gray = hr[:, :1]
    assert torch.equal(metric(gray, 1 - gray), metric(gray.expand(-1, 3, -1, -1), 1 - gray.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(("kind", "name"), [(LPIPS, "lpips"), (DISTS, "dists")])
def test_without_the_right_weights_there_is_one_line_and_no_number(
    files: tuple[Path, nn.Sequential], kind: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vgg = str(files[0] / "vgg16.pth")
    with pytest.raises(UserError, match=f"{name} is defined on ImageNet's VGG16, not on random features"):
        kind("random")
    with pytest.raises(
        UserError, match=rf"{name}: {tmp_path}/none.pth: no such file: metrics.{name}.function.weights="
    ):
        kind(vgg, str(tmp_path / "none.pth"))
    torch.save({"lin0.model.1.weight": torch.zeros(1, 3, 1, 1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=f"{name}: .*other.pth: not the weights of {name.upper()}"):
        kind(vgg, str(tmp_path / "other.pth"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("sr.vgg.urlopen", _refuse)
    with pytest.raises(UserError, match=f"^{name}: cannot fetch .*no network.*put that file there by hand") as caught:
        named_metrics([name], config_dir())
    assert "\n" not in str(caught.value)
    assert "random" not in str(caught.value)


def _refuse(*args: object, **kwargs: object) -> None:
    raise OSError("no network")


def test_distances_are_of_rgb_under_protocol_y_and_their_direction_is_down(
    files: tuple[Path, nn.Sequential],
) -> None:
    metrics = named_metrics(["lpips", "dists"], config_dir(), [f"vgg_weights={files[0] / 'vgg16.pth'}"])
    for name in ("lpips", "dists"):
        assert not metrics[name].higher_is_better
        assert metrics[name].compares == "rgb"


@pytest.mark.parametrize("kind", [LPIPS, DISTS])
def test_images_that_vgg_cannot_compare_are_refused(files: tuple[Path, nn.Sequential], kind: Any) -> None:
    metric = kind(str(files[0] / "vgg16.pth"))
    with pytest.raises(UserError, match="needs images of 16 pixels a side or more"):
        metric(torch.zeros(1, 3, 15, 40), torch.zeros(1, 3, 15, 40))
    with pytest.raises(UserError, match="RGB or gray images, not 4 channels"):
        metric(torch.zeros(1, 4, 40, 40), torch.zeros(1, 4, 40, 40))
