import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sr.benchmark import named_models
from sr.benchmark import speed as speed_module
from sr.cli import main
from sr.machine.environment import environment
from sr.nets.espcn import ESPCN
from sr.runs.schema import read_result
from sr.terms import Measurement, Speed
from sr.weights.checkpoint import network_config
from sr.weights.onnx.exported import export
from tests.support.community import built, needs_spandrel
from tests.support.run_folders import RunFolders

QUIET = Speed(Measurement(10.0, 9.0, 11.0, 20), Measurement(200.0, 190.0, 210.0, 20), 8, quiet=True)
TWICE = Speed(Measurement(20.0, 19.0, 21.0, 20), Measurement(100.0, 90.0, 110.0, 20), 8, quiet=True)
BUSY = Speed(Measurement(30.0, 9.0, 99.0, 20), Measurement(60.0, 5.0, 90.0, 20), 8, quiet=False, reason="a reason")


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> list[Speed]:
    """What is measured, in order."""
    measured = [QUIET]
    monkeypatch.setattr(speed_module, "measure_speeds", lambda networks: measured[: len(networks)])
    return measured


def make_run(root: Path, name: str = "espcn_mse_adam", **changes: Any) -> Path:
    """A finished run of this machine, in float32 on the CPU, with an untrained network for scale 2."""
    about = {"scale": 2, "device": "cpu", "precision": "32-true", "machine": environment().machine, **changes}
    folder = RunFolders(root)(name, [0.1], **about)
    state = {f"net.{key}": value for key, value in ESPCN(scale=2).state_dict().items()}
    config = network_config({"_target_": "sr.nets.espcn.ESPCN", "scale": 2}, 2, "rgb")
    (folder / "checkpoints").mkdir()
    torch.save({"sr": config, "state_dict": state}, folder / "checkpoints" / "best.ckpt")
    return folder


def speed(*arguments: str | Path) -> None:
    """Run ``sr speed`` in float32 on the CPU."""
    main(["speed", *map(str, arguments), "--device", "cpu", "--precision", "float32"])


def test_a_shipped_network_and_a_run_are_measured_and_the_run_remembers_it_if_the_machine_was_quiet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path)
    speed("espcn_x2", run, "--json", tmp_path / "new" / "speed.json")
    shipped, own = json.loads((tmp_path / "new" / "speed.json").read_text())
    assert (shipped["model"], own["model"]) == ("espcn_x2", str(run))
    assert shipped["ntire_score"] == pytest.approx(7.389, abs=0.001)
    assert own["ntire_score"] > 0
    assert own["ntire_baseline"] == "espcn_x2"
    assert own["precision"] == "float32"
    for row in (shipped, own):
        assert 0 < row["latency_ms"]["low"] <= row["latency_ms"]["median"] <= row["latency_ms"]["high"]
        assert row["images_per_second"]["median"] > 0
    result = read_result(run)
    assert result is not None
    output = capsys.readouterr().out
    if own["quiet"]:
        assert result.speed is not None
        assert result.ms_per_image == own["latency_ms"]["median"]
        assert "result.json: speed recorded" in output
    else:
        assert (result.speed, result.ms_per_image) == (None, 12.5)
        assert "result.json: not changed: measured while the machine was not quiet" in output


def test_a_quiet_measurement_replaces_the_speed_of_a_record(
    tmp_path: Path, speeds: list[Speed], capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path, speed=BUSY)
    speed(run, "--no-record")
    before = read_result(run)
    assert before is not None
    assert before.speed == BUSY
    speed(run)
    after = read_result(run)
    assert after is not None
    assert (after.speed, after.ms_per_image) == (QUIET, 10.0)
    assert (after.scores, after.config) == (before.scores, before.config)
    assert capsys.readouterr().out.splitlines()[-1] == f"{run / 'result.json'}: speed recorded"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"precision": "bf16-mixed"}, "trained with precision bf16-mixed, measured with 32-true"),
        ({"device": "cuda:0"}, "trained with device cuda, measured with cpu"),
        ({"machine": {"processor": "another"}}, "trained with processor another, measured with "),
        ({"status": "interrupted"}, "no finished run is recorded in it"),
        ({"measured": BUSY}, "measured while the machine was not quiet (a reason)"),
    ],
)
def test_a_record_is_left_alone_if_the_run_trained_otherwise(
    changes: dict[str, Any], reason: str, tmp_path: Path, speeds: list[Speed], capsys: pytest.CaptureFixture[str]
) -> None:
    speeds[:] = [changes.pop("measured", QUIET)]
    run = make_run(tmp_path, **changes)
    before = (run / "result.json").read_bytes()
    speed(run)
    assert (run / "result.json").read_bytes() == before
    assert f"{run / 'result.json'}: not changed: {reason}" in capsys.readouterr().out


def test_the_table_names_the_baseline_and_says_which_measurement_was_disturbed(
    tmp_path: Path, speeds: list[Speed], capsys: pytest.CaptureFixture[str]
) -> None:
    speeds[:] = [QUIET, BUSY]
    speed("espcn_x2", "espcn_x3", "--baseline", "espcn_x3")
    title, _, first, second = capsys.readouterr().out.splitlines()
    assert title.startswith("cpu (")
    assert title.endswith("NTIRE's score against espcn_x3, less is better")
    assert first.split()[:3] == ["espcn_x3", "x3", "float32"]
    assert "9 to 11" in first
    assert first.endswith("7.39   quiet")
    assert second.split()[0] == "espcn_x2"
    assert second.endswith("not quiet: a reason")


@needs_spandrel
def test_the_baseline_is_the_file_that_was_named(
    tmp_path: Path, speeds: list[Speed], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (tmp_path / name / "net.pth" for name in "ab")
    for path in (first, second):
        path.parent.mkdir()
        torch.save(built("compact").state_dict(), path)
    speeds[:] = [QUIET, TWICE]
    speed(first, "--baseline", second)
    title, _, *rows = capsys.readouterr().out.splitlines()
    assert title.endswith(f"NTIRE's score against {second}, less is better")
    assert [row.split()[0] for row in rows[:2]] == [str(second), str(first)]
    speed(first, second, "--baseline", first)
    title, _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows if "float32" in row] == [str(first), str(second)]


def test_a_baseline_that_is_no_model_ends_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SystemExit) as end:
        speed("espcn_x2", "--baseline", tmp_path / "notes.txt")
    assert end.value.code == 2
    assert str(tmp_path / "notes.txt") in capsys.readouterr().err


def test_a_single_model_that_cannot_be_used_ends_the_command_whatever_the_baseline(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SystemExit) as end:
        speed(tmp_path / "notes.txt", "--baseline", "espcn_x2")
    assert end.value.code == 2


def test_the_best_of_a_sweep_is_measured_once(
    tmp_path: Path, speeds: list[Speed], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds[:] = [QUIET, TWICE]
    cells = [make_run(tmp_path, name) for name in ("espcn_mse_adam", "espcn_mae_adam")]
    best = {str(tmp_path): str(cells[1])}
    monkeypatch.setattr(named_models, "model_path", lambda name, *, quiet=False: best.get(name, name))
    speed(*cells, "--baseline", tmp_path)
    measured = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.split()[1:2] == ["x2"]]
    assert measured == [str(cells[1]), str(cells[0])]


@pytest.mark.slow
def test_an_onnx_file_is_measured_without_a_score(
    tmp_path: Path, speeds: list[Speed], capsys: pytest.CaptureFixture[str]
) -> None:
    speeds[:] = [QUIET, TWICE]
    export(make_run(tmp_path) / "checkpoints" / "best.ckpt", tmp_path / "net.onnx")
    arguments = ["espcn_x2", str(tmp_path / "net.onnx"), "--json", str(tmp_path / "s.json")]
    main(["speed", *arguments, "--device", "cpu", "--precision", "bfloat16"])
    own = json.loads((tmp_path / "s.json").read_text())[1]
    assert (own["parameters"], own["multiply_adds"], own["ntire_score"]) == (None, None, None)
    assert (own["precision"], own["latency_ms"]["median"]) == ("float32", 20.0)


def test_what_holds_no_model_is_skipped_and_a_run_that_cannot_be_used_ends_in_code_1(
    tmp_path: Path, speeds: list[Speed], capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path)
    (tmp_path / "leaderboard.csv").touch()
    speed(run, tmp_path / "leaderboard.csv")
    captured = capsys.readouterr()
    assert f"{tmp_path / 'leaderboard.csv'}: skipped, it is no model\n" in captured.err
    assert f"{run} " in captured.out
    (tmp_path / "damaged.ckpt").write_text("damaged")
    with pytest.raises(SystemExit) as exit_info:
        speed(run, tmp_path / "damaged.ckpt")
    assert exit_info.value.code == 1
    assert f"error: {tmp_path / 'damaged.ckpt'}: cannot be read as a checkpoint" in capsys.readouterr().err


def test_unwritable_files_are_named_in_one_line(
    tmp_path: Path, speeds: list[Speed], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as exit_info:
        speed("espcn_x2", "--json", tmp_path / "file" / "speed.json")
    assert exit_info.value.code == 2
    assert "cannot be written" in capsys.readouterr().err
