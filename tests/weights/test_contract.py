from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.inference.tiles import enlarge_in_tiles
from sr.nets.autoencoder import Autoencoder
from sr.nets.edsr import EDSR
from sr.nets.espcn import ESPCN
from sr.nets.vdsr import VDSR
from sr.terms import WHOLE_IMAGE
from sr.weights.checkpoint import load_network, network_config, save_network
from sr.weights.contract import check_network, measured_tiles
from sr.weights.model import Model
from sr.weights.trust import trust
from tests.support.runs import Compose, model_names

HERE = __name__


class Dilated(nn.Module):
    """Two convolutions, the first dilated by 3: together they see 3 + 1 pixels."""

    def __init__(self, scale: int = 2, channels: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Conv2d(3, channels, 3, padding=3, dilation=3)
        self.second = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)
        nn.init.zeros_(self.second.weight)  # as the head of a residual network

    def forward(self, lr: Tensor) -> Tensor:
        return F.pixel_shuffle(self.second(F.relu(self.first(lr))), self.scale)


class Pooled(Dilated):
    """Adds the mean of the whole image."""

    def forward(self, lr: Tensor) -> Tensor:
        return super().forward(lr) + lr.mean(dim=(2, 3), keepdim=True)


class Even(Dilated):
    """Takes only even sizes."""

    def forward(self, lr: Tensor) -> Tensor:
        return super().forward(F.pixel_shuffle(F.pixel_unshuffle(lr, 2), 2))


class Small(Dilated):
    """Loses the border."""

    def forward(self, lr: Tensor) -> Tensor:
        return super().forward(lr)[..., 1:-1, 1:-1]


class Forgetful(Dilated):
    """Its options do not decide its size."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__(scale, channels=int(torch.randint(5, 500, ())))


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr.weights.trust._trusted", set())
    monkeypatch.setattr("sr.weights.contract._measured", {})
    trust([HERE])


def check(net: nn.Module, **arguments: object) -> None:
    scale = int(net.scale)  # type: ignore[arg-type]
    target = f"{HERE}.{type(net).__name__}"
    check_network(net, network_config({"_target_": target, "scale": scale, **arguments}, scale, "rgb"))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_the_halo_is_measured_through_heads_that_start_at_zero(scale: int) -> None:
    assert measured_tiles(Dilated(scale), scale) == (4, 1)


@pytest.mark.parametrize("net", [ESPCN(2), ESPCN(1, num_blocks=1), VDSR(1, num_blocks=4), EDSR(2, num_blocks=2)])
def test_measured_tiless_are_within_those_that_networks_state(net: nn.Module) -> None:
    stated = int(net.halo)  # type: ignore[arg-type]
    assert stated - 3 <= measured_tiles(net, int(net.scale))[0] <= stated  # type: ignore[arg-type]


class Strided(nn.Module):
    """Pads to multiples of 4, which its convolutions with strides need: its output depends on the place."""

    def __init__(self, scale: int = 1, channels: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.down = nn.Conv2d(3, channels, 4, stride=4)
        self.up = nn.ConvTranspose2d(channels, 3, 4, stride=4)

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        padded = F.pad(lr, (0, -width % 4, 0, -height % 4))
        out: Tensor = self.up(self.down(padded))[..., :height, :width]
        return out


class Saturated(Dilated):
    """Wide layers whose sum is clamped: random positive weights leave no gradient."""

    def __init__(self, scale: int = 2, channels: int = 64) -> None:
        super().__init__(scale, channels)
        self.body = nn.Sequential(*(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(4)))

    def forward(self, lr: Tensor) -> Tensor:
        hidden = self.body(F.relu6(self.first(lr) * 100))
        return F.pixel_shuffle(self.second(hidden), self.scale).clamp(0, 1)


class FrozenNorm(Dilated):
    """Keeps the statistics of its normalisation."""

    def __init__(self, scale: int = 2, channels: int = 4) -> None:
        super().__init__(scale, channels)
        self.norm = nn.BatchNorm2d(3).eval()


class InPlace(Dilated):
    """Changes its input."""

    def forward(self, lr: Tensor) -> Tensor:
        return super().forward(lr.sub_(0.5))


class Asserting(Dilated):
    """Asserts what it needs."""

    def forward(self, lr: Tensor) -> Tensor:
        assert lr.shape[-1] % 8 == 0, "width"
        return super().forward(lr)


def test_the_grid_of_a_strided_network_is_found_by_trying() -> None:
    assert measured_tiles(Strided(), 1)[1] == 4


def test_a_stated_grid_is_kept() -> None:
    net = Autoencoder(scale=1, channels=4)
    halo, align = measured_tiles(net, 1)
    assert 0 < halo <= net.halo
    assert align == net.align


def test_saturated_networks_do_not_hide_what_they_see() -> None:
    assert measured_tiles(Saturated(), 2)[0] >= 3 + 4 + 1


def test_a_frozen_normalisation_stays_frozen() -> None:
    net = FrozenNorm()
    check(net)
    assert net.training
    assert not net.norm.training


def test_a_network_may_change_its_input() -> None:
    check(InPlace())


@pytest.mark.parametrize("halo", [None, -1, 1.5])
def test_a_stated_halo_is_a_number_of_pixels(halo: object) -> None:
    net = Dilated()
    setattr(net, "halo", halo)  # noqa: B010
    with pytest.raises(UserError, match="model: halo has to be an integer of 0 or more"):
        check(net)


def test_a_network_that_sees_everything_has_the_halo_of_a_whole_image_and_no_tiles() -> None:
    net = Pooled()
    check(net)
    assert net.halo == WHOLE_IMAGE
    lr = torch.rand(1, 3, 80, 80)
    enlarger = Enlarger(Model("pooled", 2, [net.eval()]), device="cpu", precision="float32")
    assert enlarger.tile == 0
    with torch.no_grad():
        assert torch.allclose(enlarger.enlarge(lr, torch.device("cpu")), net(lr).clamp(0, 1), atol=1e-6)


def test_tiles_with_a_measured_tiles_equal_the_whole_image() -> None:
    net = Dilated().eval()
    nn.init.normal_(net.second.weight)
    check(net)
    lr = torch.rand(1, 3, 40, 33)
    out = torch.empty(1, 3, 80, 66)
    for top, left, part in enlarge_in_tiles(net, lr, 2, 8):
        out[..., top : top + part.shape[-2], left : left + part.shape[-1]] = part
    with torch.no_grad():
        assert torch.allclose(out, net(lr), atol=1e-6)


def test_the_measured_tiles_is_in_the_checkpoint(tmp_path: Path) -> None:
    net = Dilated()
    config = network_config({"_target_": f"{HERE}.Dilated", "scale": 2, "channels": 4}, 2, "rgb")
    check_network(net, config)
    save_network(tmp_path / "net.safetensors", net, config)
    loaded, stored = load_network(tmp_path / "net.safetensors")
    assert (loaded.halo, loaded.align) == (4, 1)  # type: ignore[comparison-overlap]
    assert (stored["halo"], stored["align"]) == (4, 1)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Even(), r"model: Even fails on an image of 13x17 pixels \(.*: it has to accept any size; pad its input"),
        (
            Small(),
            r"model: Small makes a tensor \(1, 3, 46, 46\) of an input \(1, 3, 24, 24\): at scale 2 it has to be",
        ),
        (Forgetful(), "model: a checkpoint of it could not be loaded again: (its|describes) "),
        (Asserting(), r"model: Asserting fails on an image of 13x17 pixels \(.*width\): it has to accept any size"),
    ],
)
def test_networks_that_nothing_could_use_are_refused(net: nn.Module, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(net)


def test_options_that_a_checkpoint_cannot_hold_are_refused_before_training() -> None:
    with pytest.raises(UserError, match=r"^model: .* 'channels' = 2048: options of a network are .* up to 1024"):
        check(Dilated(channels=2048), channels=2048)


def test_a_fault_in_the_code_keeps_its_traceback() -> None:
    net = Dilated()
    net.second = nn.Conv2d(5, 12, 3)
    with pytest.raises(RuntimeError, match="channels"):
        check(net)


def test_checking_changes_neither_the_network_nor_the_random_state() -> None:
    torch.manual_seed(1)
    net = nn.ModuleList([Dilated()])[0]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    check(net)
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("name", model_names())
def test_every_network_of_sr_keeps_the_contract_at_its_full_size(compose_config: Compose, name: str) -> None:
    config: Any = OmegaConf.to_container(compose_config([f"model={name}", "scale=2"]).model, resolve=True)
    for seed in (0, 1):
        torch.manual_seed(seed)
        check_network(instantiate(config), network_config(config, 2, "rgb"))
