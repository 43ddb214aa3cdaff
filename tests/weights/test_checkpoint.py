import os
from pathlib import Path
from typing import Any

import pytest
import torch

from sr.callbacks.checkpoints import WholeCheckpointIO
from sr.errors import UserError
from sr.nets.espcn import ESPCN
from sr.nets.vdsr import VDSR
from sr.weights.checkpoint import load_network, network_config

MODEL = {"_target_": "sr.nets.espcn.ESPCN", "scale": 2, "num_blocks": 2, "channels": 8, "activation": "relu"}


def save(path: Path, model: dict[str, Any] = MODEL, **changes: Any) -> Path:
    torch.manual_seed(0)
    net = ESPCN(scale=2, channels=8, head="sigmoid")
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"sr": network_config(model, 2, "rgb"), "state_dict": state, **changes}, path)
    return path


def test_a_checkpoint_alone_rebuilds_its_network(tmp_path: Path) -> None:
    path = save(tmp_path / "a.ckpt", {**MODEL, "head": "sigmoid"})
    net, config = load_network(path)
    torch.manual_seed(0)
    expected = ESPCN(scale=2, channels=8, head="sigmoid").eval()
    lr = torch.rand(1, 3, 6, 5)
    assert torch.equal(net(lr), expected(lr))
    assert not net.training
    assert config["scale"] == 2


def test_a_checkpoint_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    WholeCheckpointIO().save_checkpoint({"epoch": 1}, path)
    with pytest.raises(AttributeError):
        WholeCheckpointIO().save_checkpoint({"epoch": lambda: 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_bomb_is_refused_and_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = save(tmp_path / "bomb.ckpt", extra=Bomb(marker))
    with pytest.raises(UserError, match="no code in it was run"):
        load_network(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "target",
    ["os.system", "sr.train.main", "sr.nets.espcn.torch.hub.load", "sr.nets.espcn.resize", "sr.nets.espcn.nn", 7],
)
def test_only_networks_of_this_package_are_built(tmp_path: Path, target: object) -> None:
    path = save(tmp_path / "a.ckpt", {"_target_": target, "command": f"touch {tmp_path / 'marker'}"})
    with pytest.raises(UserError, match="its config names"):
        load_network(path)
    assert not (tmp_path / "marker").exists()


def test_invalid_checkpoints_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("hello")
    torch.save({"weights": torch.zeros(1)}, tmp_path / "foreign.ckpt")
    torch.save(torch.zeros(1), tmp_path / "tensor.ckpt")
    save(tmp_path / "shape.ckpt", {**MODEL, "channels": 16})
    save(tmp_path / "option.ckpt", {**MODEL, "depth": 3})
    save(tmp_path / "keys.ckpt", state_dict={})
    for name in ("none", "text", "foreign", "tensor", "shape", "option", "keys"):
        with pytest.raises(UserError) as error_info:
            load_network(tmp_path / f"{name}.ckpt")
        assert f"{name}.ckpt" in str(error_info.value)
        assert "\n" not in str(error_info.value)


def weights() -> dict[str, torch.Tensor]:
    return {f"net.{name}": value for name, value in ESPCN(scale=2, channels=8).state_dict().items()}


def refusal(path: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as error_info:
        load_network(save(path, **changes))
    return str(error_info.value).removeprefix(f"{path}: ")


def test_weights_that_do_not_fit_are_named_and_counted(tmp_path: Path) -> None:
    state = weights()
    names = sorted(name.removeprefix("net.") for name in state)
    without_first = {name: value for name, value in state.items() if name != f"net.{names[0]}"}
    assert refusal(tmp_path / "a.ckpt", state_dict=without_first) == (
        f"lacks the weights {names[0]!r}: its config is that of another network"
    )
    biases = [name for name in names if name.endswith("bias")]
    without_biases = {name: value for name, value in state.items() if not name.endswith("bias")}
    assert f"lacks the weights {biases[0]!r} (and {len(biases) - 1} more)" in refusal(
        tmp_path / "b.ckpt", state_dict=without_biases
    )
    more = state | {"net.x": torch.zeros(1), "net.y": torch.zeros(1), "net.z": torch.zeros(1)}
    assert (
        refusal(tmp_path / "c.ckpt", state_dict=more) == "has weights that its network does not have: 'x' (and 2 more)"
    )


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    state = weights()
    name, value = next(iter(state.items()))
    short = name.removeprefix("net.")
    cases = {
        f"its weights {short} are {(3, 3)}, not {tuple(value.shape)} as its config says": torch.zeros(3, 3),
        f"its weights {short} are a view of a larger storage": torch.zeros(2, *value.shape)[0],
        f"its weights {short} are of torch.int64, not of torch.float32": torch.zeros_like(value, dtype=torch.int64),
        f"its weights {short} are not finite: training diverged, or the file is damaged": value * float("nan"),
    }
    for number, (message, wrong) in enumerate(cases.items()):
        assert refusal(tmp_path / f"{number}.ckpt", state_dict=state | {name: wrong}) == message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"scales": "2"}, "scales that are not a list of 1 to 64 integers"),
        ({"scales": [2] * 65}, "scales that are not a list of 1 to 64 integers"),
        ({"scales": [65]}, "scale 65, which is not an integer from 1 to 64"),
        ({"scale": 0, "scales": [2]}, "scale 0, which is not an integer from 1 to 64"),
        ({"scale": 2.0, "scales": [2]}, "scale 2.0, which is not an integer from 1 to 64"),
        ({"protocol": 7}, "protocol 7, which does not exist"),
        ({"protocol": "x" * 101}, "which does not exist"),
        (
            {"model": {**MODEL, "channels": 1025}},
            "channels' = 1025: options of a network are strings, numbers up to 1024",
        ),
        ({"model": {**MODEL, "head": "x" * 101}}, "options of a network are strings"),
        ({"model": {**MODEL, "channels": {"a": 1}}}, "channels' = a dict: options of a network are"),
    ],
)
def test_configs_of_no_network_are_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    stored = {**network_config(MODEL, 2, "rgb"), **config}
    assert message in refusal(tmp_path / "a.ckpt", sr=stored)


def test_a_config_at_the_limits_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    net = ESPCN(scale=2, channels=8)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    stored = {**network_config(MODEL, 2, "rgb", [2] * 64), "protocol": "x" * 100}
    torch.save({"sr": stored, "state_dict": state}, path)
    assert load_network(path)[1]["scales"] == [2] * 64


def test_a_network_for_several_scales_is_built_for_the_one_that_is_asked_for(tmp_path: Path) -> None:
    model = {"_target_": "sr.nets.vdsr.VDSR", "scale": 1, "num_blocks": 1, "channels": 4}
    net = VDSR(num_blocks=1, channels=4)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    path = tmp_path / "a.ckpt"
    torch.save({"sr": network_config(model, 1, "y", [2, 3]), "state_dict": state}, path)
    assert load_network(path, 3)[0](torch.rand(1, 3, 4, 5)).shape == (1, 3, 12, 15)
    assert load_network(path, 3)[1] == {"model": model, "scale": 3, "scales": [2, 3], "protocol": "y"}
    assert load_network(path)[1]["scale"] == 1
    with pytest.raises(UserError, match=r"is a network for scale 2 or 3, not 4: --scale 2"):
        load_network(path, 4)


@pytest.mark.parametrize("scale", [0, 65])
def test_a_scale_that_could_not_be_loaded_is_not_saved(scale: int) -> None:
    with pytest.raises(UserError, match=f"scale must be an integer from 1 to 64, got {scale}"):
        network_config(MODEL, 2, "rgb", [2, scale])


def test_a_degradation_that_could_not_be_loaded_is_not_saved() -> None:
    with pytest.raises(UserError, match=r"data\.shrink must be an integer from 1 to 64, got 100"):
        network_config(MODEL, 1, "rgb", None, 100)
    assert "shrink" not in network_config(MODEL, 2, "rgb", None, 100)
