import json
import math
import shlex
from pathlib import Path

import pytest
import torch
from torch import nn

from sr.errors import UserError
from sr.nets.autoencoder import Autoencoder
from sr.nets.espcn import ESPCN
from sr.nets.vdsr import VDSR
from sr.result import (
    command,
    count_parameters,
    environment,
    multiply_adds,
    peak_memory_bytes,
    read_result,
    same_run,
    summarise,
    write_result,
)


def test_result_survives_the_trip_and_holds_only_json(tmp_path: Path) -> None:
    write_result(tmp_path, {"status": "done", "value": math.nan, "list": [1.5, math.inf]})
    assert read_result(tmp_path) == {"status": "done", "value": None, "list": [1.5, None]}
    json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    assert read_result(tmp_path / "none") is None


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"status": ')
    with pytest.raises(UserError, match=r"result\.json: is damaged"):
        read_result(tmp_path)


def test_runs_are_the_same_when_only_their_place_differs() -> None:
    config = {"run_dir": "a", "retrain": False, "seed": 1, "logger": {"x": 1}}
    assert same_run({"config": config}, {**config, "run_dir": "b", "retrain": True, "logger": None})
    assert not same_run({"config": config}, {**config, "seed": 0})


def test_mean_and_standard_deviation_are_over_images() -> None:
    rows = [{"name": "a", "psnr": 30.0, "ssim": 0.5}, {"name": "b", "psnr": 34.0, "ssim": 0.5}]
    assert summarise(rows) == {
        "psnr": {"mean": 32.0, "sd": pytest.approx(8**0.5)},
        "ssim": {"mean": 0.5, "sd": 0.0},
    }
    assert summarise(rows[:1])["psnr"] == {"mean": 30.0, "sd": 0.0}
    assert summarise([]) == {}


@pytest.mark.parametrize(
    ("net", "weights_per_pixel"),
    [
        (ESPCN(), 3 * 64 * 25 + 64 * 32 * 9 + 32 * 3 * 9),
        (VDSR(), (3 * 64 + 18 * 64 * 64 + 64 * 3) * 9),
    ],
)
def test_multiply_adds_are_weights_times_pixels(net: nn.Module, weights_per_pixel: int) -> None:
    assert multiply_adds(net, 1) == weights_per_pixel * 256 * 256


def test_multiply_adds_count_pooling_and_scale() -> None:
    layers = [(3, 64, 1), (64, 64, 1), (64, 128, 4), (128, 128, 4), (128, 256, 16)]
    layers += [(256, 128, 4), (128, 128, 4), (128, 64, 1), (64, 64, 1), (64, 3, 1)]
    assert multiply_adds(Autoencoder(), 1) == sum(9 * a * b * 65536 // shrink for a, b, shrink in layers)
    assert multiply_adds(VDSR(scale=2), 2) == multiply_adds(VDSR(), 1)
    assert multiply_adds(ESPCN(scale=2), 2) == (3 * 64 * 25 + 64 * 32 * 9 + 32 * 12 * 9) * 128 * 128


def test_counting_leaves_the_network_as_it_was() -> None:
    net = Autoencoder(dropout=0.5).train()
    multiply_adds(net, 1)
    assert all(module.training for module in net.modules())
    assert count_parameters(net) == 1_110_403
    net.tail.requires_grad_(False)
    assert count_parameters(net) == 1_110_403 - 64 * 3 * 9 - 3


def test_environment_names_what_a_rerun_needs() -> None:
    found = environment()
    assert found["versions"]["torch"] == torch.__version__
    assert found["machine"]["threads"] >= 1
    assert found["git_commit"] is None or len(found["git_commit"].removesuffix("-dirty")) == 40
    assert peak_memory_bytes(torch.device("cpu")) > 10**7


def test_the_command_survives_the_shell() -> None:
    overrides = ["data.root=/a b/c", "model.channels=64", "data.root=[a,b]"]
    assert shlex.split(command(overrides, {})) == ["python", "-m", "sr.train", *overrides]


def test_the_command_of_a_fold_replaces_what_differs() -> None:
    line = command(["data.fold=all", "seed=3", "data.folds=5"], {"data.fold": 2, "seed": 5})
    assert shlex.split(line)[3:] == ["data.folds=5", "data.fold=2", "seed=5"]
