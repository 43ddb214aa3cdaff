"""Networks that are trained in one form, and used and shipped in another."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from sr.cli import main
from sr.errors import UserError
from sr.nets.espcn import ESPCN
from sr.nets.span import SPAN
from sr.terms import NetworkConfig
from sr.weights.checkpoint import load_network, network_config, save_network
from sr.weights.contract import check_network
from sr.weights.find import find_model
from sr.weights.folding import folded, form_in_use
from sr.weights.initial import copy_weights
from sr.weights.trust import trust
from tests.support.runs import Command, result_of

HERE = __name__


class Halved(nn.Module):
    """Two convolutions added, which fold into one."""

    def __init__(self, scale: int = 1, folded: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Conv2d(3, 3 * scale**2, 3, padding=1)
        self.second = None if folded else nn.Conv2d(3, 3 * scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        out = self.first(lr) if self.second is None else self.first(lr) + self.second(lr)
        return nn.functional.pixel_shuffle(out, self.scale)

    @torch.no_grad()
    def folded(self) -> nn.Module:
        plain = type(self)(self.scale, folded=True)
        assert self.second is not None
        for name, parameter in plain.first.named_parameters():
            parameter.copy_(self.first.get_parameter(name) + self.second.get_parameter(name))
        return plain


class Wrong(Halved):
    """Forgets one of them."""

    @torch.no_grad()
    def folded(self) -> nn.Module:
        plain = type(self)(self.scale, folded=True)
        plain.first.load_state_dict(self.first.state_dict())
        return plain


class Unnamed(Halved):
    """Does not take the option."""

    def __init__(self, scale: int = 1) -> None:
        super().__init__(scale)

    def folded(self) -> nn.Module:
        net = Halved(self.scale)
        net.load_state_dict(self.state_dict())
        return net.folded()


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr.weights.trust._trusted", set())
    trust([HERE])


def config_of(net: nn.Module, **options: object) -> NetworkConfig:
    scale = int(net.scale)  # type: ignore[arg-type]
    target = f"{type(net).__module__}.{type(net).__name__}"
    return network_config({"_target_": target, "scale": scale, **options}, scale, "y")


def trained_span(scale: int = 2) -> tuple[SPAN, NetworkConfig]:
    torch.manual_seed(0)
    net = SPAN(scale, num_blocks=2, channels=8).eval()
    nn.init.normal_(net.tail.weight, std=0.3)
    return net, config_of(net, num_blocks=2, channels=8)


def test_sr_export_writes_span_with_plain_convolutions(tmp_path: Path) -> None:
    net, config = trained_span()
    save_network(tmp_path / "trained.safetensors", net, config)
    main(["export", str(tmp_path / "trained.safetensors"), "-o", str(tmp_path / "small.safetensors")])
    with safe_open(tmp_path / "small.safetensors", "pt") as file:
        assert "net.head.weight" in file.keys()  # noqa: SIM118 - not a dict
        assert not [name for name in file.keys() if "middle" in name]  # noqa: SIM118
        assert json.loads(file.metadata()["sr"])["model"]["folded"] is True
    lr = torch.rand(1, 3, 20, 17)
    plain = load_network(tmp_path / "small.safetensors")[0]
    with torch.no_grad():
        torch.testing.assert_close(plain(lr), net(lr), rtol=0, atol=1e-5)
    assert load_network(tmp_path / "trained.safetensors")[1]["model"].get("folded") is None  # can be trained further


@pytest.mark.slow
def test_onnx_holds_span_with_plain_convolutions(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs sr-compare[onnx]")
    net, config = trained_span()
    save_network(tmp_path / "trained.safetensors", net, config)
    main(["export", str(tmp_path / "trained.safetensors"), "-o", str(tmp_path / "net.onnx")])
    nodes = onnx.load(tmp_path / "net.onnx").graph.node
    plain = 3 * 2 + 4  # blocks, head, the two before the tail, tail
    assert sum(node.op_type == "Conv" for node in nodes) == plain + 2  # and bicubic interpolation by rows and columns
    lr = torch.rand(1, 3, 20, 17)
    with torch.no_grad():
        torch.testing.assert_close(find_model(str(tmp_path / "net.onnx")).nets[0](lr), net(lr), rtol=0, atol=1e-5)


def test_models_are_used_in_their_folded_form(tmp_path: Path) -> None:
    net, config = trained_span()
    save_network(tmp_path / "trained.safetensors", net, config)
    used = find_model(str(tmp_path / "trained.safetensors")).nets[0]
    assert [*used.state_dict()] == [*net.folded().state_dict()]


@pytest.mark.slow
def test_a_run_records_the_cost_of_the_folded_form_and_keeps_the_factors(command: Command, tmp_path: Path) -> None:
    code, text = command("model=span", "scale=2", "debug=tiny", "model.num_blocks=1", "model.channels=4")
    assert code == 0, text
    net, config = load_network(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert isinstance(net, SPAN)
    assert "folded" not in config["model"] or config["model"]["folded"] is False
    plain = net.folded()
    result = result_of(tmp_path / "run")
    assert result["parameters"] == sum(parameter.numel() for parameter in plain.parameters())
    convolutions = 3 * 4 * 9 + 4 * 4 * 4 * 9 + 16 * 4 + 4 * 12 * 9  # head, blocks and after, merge, tail
    assert result["multiply_adds"] == convolutions * 128**2


def test_a_network_of_ones_own_is_folded_with_its_measured_halo() -> None:
    net = Halved(scale=2).eval()
    config = config_of(net)
    check_network(net, config)
    plain, plain_config = folded(net, config)
    assert [*plain.state_dict()] == ["first.weight", "first.bias"]
    assert plain.halo == plain_config["halo"] == 1
    assert plain_config["model"]["folded"] is True
    assert folded(plain, plain_config) == (plain, plain_config)


def test_a_network_without_two_forms_is_returned_as_it_is() -> None:
    net = ESPCN(scale=2)
    config = config_of(net)
    assert form_in_use(net) is net
    assert folded(net, config) == (net, config)


@pytest.mark.parametrize(
    ("network", "message"),
    [(Wrong, r"returns a network whose output differs by"), (Unnamed, "unexpected keyword argument 'folded'")],
)
def test_wrong_folding_is_refused_before_training(network: type[Halved], message: str) -> None:
    net = network(scale=2)
    with pytest.raises(UserError, match=f"model: its method folded.. has to return .*{message}"):
        check_network(net, config_of(net))


def test_folded_weights_are_trained_further_in_the_folded_form(tmp_path: Path) -> None:
    net, config = trained_span()
    save_network(tmp_path / "small.safetensors", *folded(net, config))
    with pytest.raises(
        UserError, match=r"small\.safetensors: holds the network in its folded form: model\.folded=true"
    ):
        copy_weights(SPAN(2, num_blocks=2, channels=8), tmp_path / "small.safetensors")
    assert copy_weights(SPAN(2, num_blocks=2, channels=8, folded=True), tmp_path / "small.safetensors").fresh == {}
    save_network(tmp_path / "trained.safetensors", net, config)
    assert copy_weights(SPAN(2, num_blocks=2, channels=8), tmp_path / "trained.safetensors").fresh == {}


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_weights_of_the_other_form_are_refused_whatever_the_number_of_blocks(tmp_path: Path, blocks: int) -> None:
    net, config = trained_span()
    save_network(tmp_path / "small.safetensors", *folded(net, config))
    save_network(tmp_path / "trained.safetensors", net, config)
    with pytest.raises(UserError, match=r"small\.safetensors: holds the network in its folded form"):
        copy_weights(SPAN(2, num_blocks=blocks, channels=8), tmp_path / "small.safetensors")
    with pytest.raises(UserError, match=r"trained\.safetensors: holds the network before it is folded, .* sr export"):
        copy_weights(SPAN(2, num_blocks=blocks, channels=8, folded=True), tmp_path / "trained.safetensors")


def test_a_file_that_does_not_fold_is_refused_by_its_name(tmp_path: Path) -> None:
    net = Wrong(scale=2).eval()
    save_network(tmp_path / "wrong.safetensors", net, config_of(net))
    with pytest.raises(UserError, match=r"wrong\.safetensors: Wrong\.folded\(\) returns"):
        find_model(str(tmp_path / "wrong.safetensors"))
