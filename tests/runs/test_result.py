import json
import math
import shlex
from pathlib import Path

import pytest

from sr.errors import UserError
from sr.runs.result import beats_input, command, differences, read_result, summarise, write_result


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
    config = {"run_dir": "/a", "retrain": False, "seed": 1, "logger": {"x": 1}, "callbacks": {"dir": "/a/checkpoints"}}
    moved = {**config, "run_dir": "/b c", "retrain": True, "logger": None, "callbacks": {"dir": "/b c/checkpoints"}}
    assert differences({"config": config}, moved) == []


def test_every_option_that_differs_is_named() -> None:
    theirs = {"run_dir": "/a", "seed": 1, "data": {"patch": None, "root": "x"}}
    ours = {"run_dir": "/a", "seed": 0, "data": {"patch": 96, "root": "x"}, "scale": 2}
    assert differences({"config": theirs}, ours) == [
        "data.patch: None there, 96 here",
        "scale: absent there, 2 here",
        "seed: 1 there, 0 here",
    ]


def test_a_gain_that_two_decimals_do_not_show_is_none() -> None:
    assert [beats_input(gain) for gain in (-1.0, 0.0, 0.0049, 0.005, 1.0)] == [False, False, False, True, True]


def test_mean_and_standard_deviation_are_over_images() -> None:
    rows = [{"name": "a", "psnr": 30.0, "ssim": 0.5}, {"name": "b", "psnr": 34.0, "ssim": 0.5}]
    assert summarise(rows) == {
        "psnr": {"mean": 32.0, "sd": pytest.approx(8**0.5)},
        "ssim": {"mean": 0.5, "sd": 0.0},
    }
    assert summarise(rows[:1])["psnr"] == {"mean": 30.0, "sd": 0.0}
    assert summarise([]) == {}


def test_the_command_survives_the_shell() -> None:
    overrides = ["data.root=/a b/c", "model.channels=64", "data.root=[a,b]"]
    assert shlex.split(command(overrides, {})) == ["python", "-m", "sr.train", *overrides]


def test_the_command_of_a_fold_replaces_what_differs() -> None:
    line = command(["data.fold=all", "seed=3", "data.folds=5"], {"data.fold": 2, "seed": 5})
    assert shlex.split(line)[3:] == ["data.folds=5", "data.fold=2", "seed=5"]
