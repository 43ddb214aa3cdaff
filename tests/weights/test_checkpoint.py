import os
from pathlib import Path
from typing import Any

import pytest
import torch

from sr.callbacks.checkpoints import WholeCheckpointIO
from sr.errors import UserError
from sr.nets.espcn import ESPCN
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
