"""The list of runs, sweeps and searches."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from sr.cli import main
from sr.errors import UserError
from sr.runs.listing import Kind, as_json, find_entries, render
from sr.runs.schema import Monitor, Status
from sr.runs.status import PLAN
from tests.support.run_folders import RunFolders, config

NOW = time.time()


def set_age(folder: Path, seconds: float) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (NOW - seconds, NOW - seconds))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with a run, a sweep of three cells, a search, and a damaged run, from old to new."""
    make = RunFolders(tmp_path / "runs")

    def finished(name: str, gain: float) -> Path:
        folder = make(name, [gain] * 4, monitor=Monitor("val/psnr", 27.75 + gain))
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "best.ckpt").write_bytes(bytes(1000))
        return folder

    set_age(finished("espcn_mse_adam", 0.5), 3 * 86_400 + 60)
    grid = make.root / "grid"
    finished("grid/espcn_mse_adam", -0.25)
    finished("grid/vdsr_mae_adam", -0.125)
    diverged = make("grid/vdsr_mse_adam", [0.5] * 4, status=Status.DIVERGED, reason="the loss is not finite")
    shutil.copytree(diverged, diverged / "fold_0")
    (grid / PLAN).write_text(
        json.dumps({"cells": ["espcn_mse_adam", "vdsr_mse_adam", "vdsr_mae_adam", "espcn_mae_sgd"]})
    )
    (grid / "multirun.yaml").write_text("hydra:\n  sweeper:\n    _target_: hydra._internal.BasicSweeper\n")
    set_age(grid, 2 * 3600 + 60)
    search = make.root / "a" / "search"
    finished("a/search/trial_0_0000", 1.0)
    make("a/search/trial_0_0001", [0.5] * 4, status=Status.PRUNED)
    (search / "multirun.yaml").write_text(
        "hydra:\n  sweeper:\n    _target_: hydra_plugins.sr_optuna.sweeper.OptunaSweeper\n    n_trials: 40\n"
    )
    set_age(search, 90)
    (make.root / "broken").mkdir()
    (make.root / "broken" / "result.json").write_text("{")
    return make.root


def test_runs_sweeps_and_searches_are_listed_with_the_newest_first(runs: Path) -> None:
    broken, search, grid, run = find_entries(runs)
    assert [entry.path.relative_to(runs).as_posix() for entry in (broken, search, grid, run)] == [
        "broken",
        "a/search",
        "grid",
        "espcn_mse_adam",
    ]
    assert (run.kind, run.status, run.models, run.losses, run.optimizers) == (
        Kind.RUN,
        "done",
        ("espcn",),
        ("mse",),
        ("adam",),
    )
    assert (run.psnr, run.gain) == pytest.approx((28.25, 0.5))
    assert run.loses_to == ""
    assert run.size == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()) > 1000
    assert run.changed == pytest.approx(NOW - 3 * 86_400 - 60)
    assert (grid.kind, grid.count, grid.status) == (Kind.SWEEP, 4, "2 of 4 done, 1 diverged")
    assert grid.gain == pytest.approx(-0.125)
    assert (grid.loses_to, grid.note) == ("its input", "best: vdsr_mae_adam")
    assert len(grid.cells) == 3  # folds lie inside their run, and the planned cell has not begun
    assert set(grid.models) == {"espcn", "vdsr"}
    assert (search.kind, search.count, search.status) == (Kind.SEARCH, 40, "1 of 40 done, 1 pruned")
    assert broken.status == "damaged"
    assert "result.json: is damaged" in broken.note


def test_the_table_has_a_line_for_each_and_marks_what_loses_to_its_input(runs: Path) -> None:
    lines = render(find_entries(runs)).splitlines()
    assert lines[0].split("  ")[0] == "name"
    assert len(lines) == 5
    fields = [[text for text in line.split("  ") if text] for line in lines]
    assert fields[2][0].strip() == str(runs / "a" / "search")
    assert [text.strip() for text in (fields[2][1], *fields[2][3:5])] == [
        "search of 40",
        "1 of 40 done, 1 pruned",
        "28.75",
    ]
    assert " 2 h " in lines[3]
    assert lines[3].endswith("LOSES TO ITS INPUT, best: vdsr_mae_adam")
    assert " 3 d " in lines[4]
    assert " +0.50 " in lines[4]
    with_cells = render(find_entries(runs), with_cells=True).splitlines()
    assert len(with_cells) == 5 + 3 + 2
    assert any(line.startswith(str(runs / "grid" / "vdsr_mse_adam")) and "diverged" in line for line in with_cells)


def test_a_sweep_whose_cells_cannot_be_ranked_says_so(tmp_path: Path) -> None:
    make = RunFolders(tmp_path)
    for number in range(2):
        folder = make(f"s/a_b_c{number}", [0.5] * 4, names="abcd"[number:], monitor=Monitor("val/psnr", 30.0))
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "best.ckpt").touch()
    (tmp_path / "s" / PLAN).write_text("damaged")
    (entry,) = find_entries(tmp_path)
    assert (entry.status, entry.psnr) == ("done", None)
    assert entry.note == "its cells cannot be ranked, they differ in validation images"


def test_a_name_other_than_that_of_the_folder_is_shown(tmp_path: Path) -> None:
    RunFolders(tmp_path)("elsewhere_a_b", [0.5] * 4, config={**config(), "name": "mine"})
    RunFolders(tmp_path)("same_a_b", [0.5] * 4, config={**config(), "name": "same_a_b"})
    names = {entry.path.name: entry.name for entry in find_entries(tmp_path)}
    assert names == {"elsewhere_a_b": "mine", "same_a_b": None}
    assert f"{tmp_path / 'elsewhere_a_b'} (mine)  run" in render(find_entries(tmp_path))


def test_a_single_run_and_a_single_sweep_are_listed_by_their_own_folders(runs: Path) -> None:
    (run,) = find_entries(runs / "espcn_mse_adam")
    assert (run.path, run.kind) == (runs / "espcn_mse_adam", Kind.RUN)
    (sweep,) = find_entries(runs / "grid")
    assert (sweep.path, sweep.count) == (runs / "grid", 4)


def test_json_has_the_same_entries_and_cells_on_request(runs: Path) -> None:
    rows = json.loads(as_json(find_entries(runs)))
    assert [row["kind"] for row in rows] == ["run", "search", "sweep", "run"]
    assert rows[2]["path"] == str(runs / "grid")
    assert "cells" not in rows[2]
    with_cells = json.loads(as_json(find_entries(runs), with_cells=True))
    assert len(with_cells[2]["cells"]) == 3


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "no such folder"), ("empty", "no runs in it")])
def test_a_folder_without_runs_is_a_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=reason):
        find_entries(tmp_path / name)
    with pytest.raises(SystemExit) as end:
        main(["runs", str(tmp_path / name)])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / name}: {reason}")


def test_the_command_lists_runs_and_writes_json(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs.parent)
    main(["runs", "--json", "out/list.json", "--all"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("runs/broken ")
    assert len(lines) == 10
    assert [row["path"] for row in json.loads(Path("out/list.json").read_text())][1:3] == ["runs/a/search", "runs/grid"]
