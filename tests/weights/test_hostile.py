"""Untrusted model files are refused in one line and run no code."""

import random
import warnings
from pathlib import Path

import pytest
import torch

from sr.errors import UserError
from sr.nets.autoencoder import Autoencoder
from sr.nets.edsr import EDSR
from sr.nets.espcn import ESPCN
from sr.nets.vdsr import VDSR
from sr.weights.checkpoint import load_network, network_config, save_network
from sr.weights.find import find_model
from sr.weights.model import MOST_SCALE
from tests.support.hostile.checkpoints import MODEL, checkpoint, serialized, weights
from tests.support.hostile.files import MAKERS, hostile_files


@pytest.mark.parametrize(
    "suffix", [pytest.param(suffix, marks=pytest.mark.slow if suffix in (".ckpt", ".pth") else ()) for suffix in MAKERS]
)
def test_every_hostile_file_is_refused_in_one_line_and_runs_no_code(tmp_path: Path, suffix: str) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")
    if suffix == ".pth":
        pytest.importorskip("einops", reason="needs pip install --no-deps spandrel einops")
    marker = tmp_path / "marker"
    accepted, count = [], 0
    with warnings.catch_warnings(action="ignore"):  # torch warns of the tensors in the files
        for name, path in hostile_files(suffix, tmp_path, marker):
            try:
                find_model(str(path))
                accepted.append(name)
            except UserError as error:
                text = str(error)
            assert text.startswith(f"{path}: "), name
            assert text.isprintable(), name
            assert len(text) < 400, name
            assert not marker.exists(), name
            count += 1
    assert not accepted
    assert count > 20


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_a_file_with_a_flipped_bit_is_refused_or_yields_the_same_kind_of_network(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    net = ESPCN(scale=2, channels=8)
    net.load_state_dict({name.removeprefix("net."): value for name, value in weights().items()})
    if suffix == ".ckpt":
        path.write_bytes(serialized(checkpoint()))
    else:
        save_network(path, net, network_config(MODEL, 2, "rgb"))
    intact, rng = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(300):
        content = bytearray(intact)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        try:
            loaded_net, config = load_network(path)
        except UserError:
            refused += 1
            continue
        assert config["scale"] == 2
        if suffix == ".ckpt":  # checksums: an accepted file has unchanged weights
            assert all(torch.equal(value, loaded_net.state_dict()[name]) for name, value in net.state_dict().items())
    assert refused > (250 if suffix == ".ckpt" else 5)


@pytest.mark.parametrize(
    ("net_class", "options"),
    [
        (VDSR, {"num_blocks": 3, "channels": 4}),
        (EDSR, {"num_blocks": 2, "channels": 4}),
        (Autoencoder, {"channels": 2, "dropout": 0.1, "skips": False, "head": "sigmoid"}),
        (ESPCN, {"num_blocks": 3, "channels": 8, "activation": "tanh"}),
    ],
)
def test_networks_are_loaded_from_any_precision_and_memory_layout(
    tmp_path: Path, net_class: type[torch.nn.Module], options: dict[str, object]
) -> None:
    net = net_class(scale=3, **options)
    model = {"_target_": f"{net_class.__module__}.{net_class.__name__}", "scale": 3, **options}
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        converted = net_class(scale=3, **options).to(dtype)
        converted.load_state_dict(net.state_dict())
        converted = converted.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        state = {f"net.{name}": value for name, value in converted.state_dict().items()}
        (tmp_path / "a.ckpt").write_bytes(serialized(checkpoint(model, state, scale=3, scales=[3])))
        loaded_state = load_network(tmp_path / "a.ckpt")[0].state_dict()
        assert all(torch.equal(loaded_state[name], value.to(dtype).float()) for name, value in net.state_dict().items())


def test_a_tensor_under_two_names_is_accepted(tmp_path: Path) -> None:
    state = weights()
    (tmp_path / "a.ckpt").write_bytes(serialized(checkpoint(state={**state, "criterion.copy": state["net.tail.bias"]})))
    assert torch.equal(load_network(tmp_path / "a.ckpt")[0].state_dict()["tail.bias"], state["net.tail.bias"])


def test_the_largest_scale_can_be_saved_and_loaded(tmp_path: Path) -> None:
    for scale, supported in ((MOST_SCALE, True), (MOST_SCALE + 1, False)):
        net = VDSR(scale=scale, num_blocks=1, channels=2)
        model = {"_target_": "sr.nets.vdsr.VDSR", "scale": scale, "num_blocks": 1, "channels": 2}
        if supported:
            save_network(tmp_path / "a.safetensors", net, network_config(model, scale, "rgb"))
            assert load_network(tmp_path / "a.safetensors")[1]["scale"] == scale
        else:
            with pytest.raises(UserError, match=f"scale must be an integer from 1 to {MOST_SCALE}, got {scale}"):
                network_config(model, scale, "rgb")
