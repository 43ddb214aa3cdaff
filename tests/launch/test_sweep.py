import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict

from sr.errors import UserError
from sr.io.locks import hold
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.launch.sweep import Summary, folder_names, planned
from sr.runs.schema import RunResult, Status, write_result
from sr.runs.scores import MeanSd
from sr.runs.status import PLAN, Cell, Standing, find_cells, render
from sr.terms import Part
from sr.train import config_dir
from tests.support.run_folders import RunFolders
from tests.support.runs import SMALL, Command, MakeFolder, result_of


def write_run(folder: Path, status: Status = Status.DONE, reason: str = "", **data: object) -> None:
    """Make a run folder that holds only its result."""
    folder.mkdir(parents=True)
    scores = {Part.VAL: {"gain": MeanSd(0.5, 0.1)}}
    config = {"data": {"folds": None, "fold": 0, **data}}
    write_result(folder, RunResult(status, config, reason=reason, seconds=90.0, scores=scores))


def test_the_plan_is_the_product_of_the_lists_and_later_overrides_win() -> None:
    early = ["model=espcn,vdsr", "loss=mse,mae", "optimizer=adam,sgd"]
    cells = planned([*early, "model=choice(a,b,c)", "loss=vgg", "seed=1"])
    assert cells == [
        {"model": model, "loss": "vgg", "optimizer": optimizer, "seed": "1"}
        for model in "abc"
        for optimizer in ("adam", "sgd")
    ]


def test_folder_names_are_predicted_from_choices_job_number_and_what_varies_only() -> None:
    cells = [{"model": "espcn", "optimizer.lr": "1"}, {"model": "espcn", "optimizer.lr": "2"}]

    def choices(cell: Mapping[str, str]) -> dict[str, str]:
        return {"model": "vdsr", "loss": "mse", **cell}

    pattern = "${hydra:runtime.choices.model}_${hydra:runtime.choices.loss}_${hydra:job.num}"
    assert folder_names(cells, pattern, choices) == ["espcn_mse_0", "espcn_mse_1"]
    assert folder_names(cells, "${cell_name:}", choices) == ["espcn_mse_lr1", "espcn_mse_lr2"]
    assert folder_names(cells, "${hydra:job.override_dirname}", choices) == []


def test_cells_are_found_with_their_status_and_missing_ones_are_pending(tmp_path: Path) -> None:
    write_run(tmp_path / "espcn_mse_adam")
    write_run(tmp_path / "espcn_mse_sgd", Status.DIVERGED, "the loss is not finite")
    write_run(tmp_path / "vdsr_mse_adam", Status.RUNNING, folds=3, fold="all")
    write_run(tmp_path / "vdsr_mse_adam" / "fold_0")
    write_run(tmp_path / "vdsr_mse_sgd", Status.RUNNING)
    RunFolder(tmp_path / "vdsr_mse_sgd").lock.touch()  # not held by any process
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").write_text("{")
    plan = planned(["model=espcn,vdsr", "loss=mse", "optimizer=adam,sgd,rmsprop"])
    names = folder_names(plan, "${cell_name:}", lambda cell: cell)
    (tmp_path / "sweep.json").write_text(json.dumps({"cells": names}))

    with hold(RunFolder(tmp_path / "vdsr_mse_adam").lock):
        cells = {cell.name: cell for cell in find_cells(tmp_path)}
    assert cells["espcn_mse_adam"] == Cell("espcn_mse_adam", Standing.DONE, gain=0.5, seconds=90.0)
    assert cells["espcn_mse_sgd"].status == "diverged"
    assert cells["espcn_mse_sgd"].seconds == 90.0
    assert cells["vdsr_mse_adam"].status == "running"
    assert cells["vdsr_mse_adam"].trainings == (1, 3)
    assert cells["vdsr_mse_sgd"].status == "interrupted"
    assert cells["broken"].status == "damaged"
    assert {name for name, cell in cells.items() if cell.status == "pending"} == {
        "espcn_mse_rmsprop",
        "vdsr_mse_rmsprop",
    }


def test_the_table_marks_cells_that_lose_to_their_input_and_estimates_the_time_left() -> None:
    cells = [
        Cell("espcn_mse_adam", Standing.DONE, gain=0.5, seconds=60),
        Cell("vdsr_mse_adam", Standing.DONE, gain=-0.1, loses_to="its input", seconds=600),
        Cell("vdsr_mse_sgd", Standing.RUNNING, trainings=(4, 5)),
        Cell("espcn_mse_sgd", Standing.PENDING),
    ]
    lines = render(cells).splitlines()
    assert lines[0].split() == ["cell", "status", "trainings", "gain", "dB", "minutes"]
    assert lines[1].split() == ["espcn_mse_adam", "done", "+0.50", "1.0"]
    assert lines[2].endswith("loses to its input")
    assert lines[3].split() == ["vdsr_mse_sgd", "running", "4/5"]
    assert lines[-2] == "2 done, 1 pending, 1 running"
    assert lines[-1] == "about 3 minutes left, one after the other"  # 600 / 5 + 60 seconds


def test_sweeps_at_any_depth_and_a_single_run_are_listed(tmp_path: Path) -> None:
    write_run(tmp_path / "monday" / "espcn_mse")
    write_run(tmp_path / "tuesday" / "grid" / "vdsr_mse", folds=2, fold="all")
    write_run(tmp_path / "tuesday" / "grid" / "vdsr_mse" / "fold_0")
    (tmp_path / "tuesday" / "grid" / PLAN).write_text(json.dumps({"cells": ["vdsr_mse", "vdsr_mae"]}))
    cells = find_cells(tmp_path)
    assert [(cell.name, cell.status) for cell in cells] == [
        ("monday/espcn_mse", Standing.DONE),
        ("tuesday/grid/vdsr_mse", Standing.DONE),
        ("tuesday/grid/vdsr_mae", Standing.PENDING),
    ]
    assert cells[1].trainings == (1, 2)
    (cell,) = find_cells(tmp_path / "monday" / "espcn_mse")
    assert (cell.name, cell.status) == ("espcn_mse", Standing.DONE)
    assert "about 2 minutes left" in render(cells)  # 90 seconds, as the other run of its model


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no runs in it"):
        find_cells(tmp_path)


@pytest.mark.slow
def test_a_bad_cell_affects_no_other_cell_and_is_the_only_one_retried(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = tmp_path / "grid"
    settings = ["experiment=grid", "model=espcn,vdsr", "loss=mse", "optimizer=adam", "data.folds=2", "data=isr"]
    settings += [f"data.root={make_folder(count=8)}", "trainer.max_epochs=1", f"hydra.sweep.dir={folder}"]
    bad = ["logger=none", "++model.head=sigmoid"]  # VDSR has no such option
    code, text = command(*settings, *bad)
    assert code == 1, text
    assert "1 done, 1 pending, 1 refused" in text
    assert "Traceback" not in text
    before = result_of(folder / "espcn_mse_adam")
    assert "hydra.mode=RUN" in before["command"]
    names = json.loads((folder / "sweep.json").read_text())["cells"]
    assert names == ["espcn_mse_adam", "vdsr_mse_adam"]
    code, text = command(*settings, *bad)
    assert code == 1
    assert text.count("done before") == 1
    assert result_of(folder / "espcn_mse_adam") == before


@pytest.mark.slow
def test_a_killed_grid_resumes_and_trains_nothing_twice(make_folder: MakeFolder, tmp_path: Path) -> None:
    grid = tmp_path / "grid"
    settings = ["experiment=grid", "model=espcn", "loss=mse,mae", "optimizer=adam,sgd", "data.folds=2", "data=isr"]
    settings += [f"data.root={make_folder(count=8)}", "trainer.max_epochs=2", "logger=none", f"hydra.sweep.dir={grid}"]
    argv = [sys.executable, "-m", "sr.train", *SMALL, *settings]
    first = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while not list(grid.glob("espcn_mse_sgd/fold_0/metrics.csv")) and first.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = {path: json.loads(path.read_text()) for path in grid.rglob("result.json")}
    finished = [path for path, result in before.items() if result["status"] == "done"]
    assert 0 < len(finished) < 12
    assert any(cell.status == "interrupted" for cell in find_cells(grid))

    rerun = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert rerun.returncode == 0, rerun.stderr
    assert [cell.status for cell in find_cells(grid)] == ["done"] * 4
    assert len(list(grid.rglob("result.json"))) == 12
    assert all(json.loads(path.read_text()) == before[path] for path in finished)


@pytest.mark.slow
def test_parallel_cells_finish_or_fail_independently_with_a_line_each(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    grid = tmp_path / "grid"
    settings = ["experiment=grid", "model=espcn,vdsr", "loss=mse", "optimizer=adam", "data.fold=0", "data.folds=2"]
    settings += ["data=isr", f"data.root={make_folder(count=8)}", "trainer.max_epochs=1", f"hydra.sweep.dir={grid}"]
    settings += ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"data.cache_dir={tmp_path / 'cache'}"]
    code, text = command(*settings, "logger=none", "++model.head=sigmoid")  # VDSR has no such option
    assert code == 1, text
    assert "1 done, 1 pending, 1 refused" in text
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("espcn_mse_adam done, val/psnr ")], text
    failed = (
        "vdsr_mse_adam failed, model.head: VDSR has no such option (it has scale, num_blocks, channels, image_channels)"
    )
    assert [line for line in lines if line.startswith(failed)], text
    assert len(lines) == 3, text  # nothing else but the counts
    assert result_of(grid / "espcn_mse_adam")["status"] == "done"
    assert len(list((tmp_path / "cache").glob("*.bin"))) == 1  # one copy of the images for all processes
    assert not [*grid.glob(".failures"), *grid.glob(".messages")]


@pytest.mark.slow
def test_workers_stop_when_their_sweep_is_killed_and_the_same_command_resumes(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    grid = tmp_path / "grid"
    settings = ["experiment=grid", "model=espcn", "loss=mse,mae", "optimizer=adam", "data.fold=0", "data.folds=2"]
    settings += ["data=isr", f"data.root={make_folder(count=8)}", "trainer.max_epochs=150", "logger=none"]
    settings += [f"hydra.sweep.dir={grid}", "hydra/launcher=joblib", "trainer.check_val_every_n_epoch=75"]
    argv = [sys.executable, "-m", "sr.train", *SMALL, *settings, f"data.cache_dir={tmp_path / 'cache'}"]
    first = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while len(list(grid.glob("*/metrics.csv"))) < 2:
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    rerun = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert rerun.returncode == 0, rerun.stderr
    assert [cell.status for cell in find_cells(grid)] == ["done"] * 2
    for cell in ("espcn_mse_adam", "espcn_mae_adam"):
        epochs = [row["epoch"] for row in read_table(grid / cell / "metrics.csv")]
        assert epochs == [str(epoch + 1) for epoch in range(150)]


@pytest.mark.slow
def test_a_diverged_cell_is_listed_with_step_rate_and_norm_and_the_others_finish(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    settings = [
        "hydra.mode=MULTIRUN",
        "optimizer=sgd",
        "optimizer.lr=1e30,1e-3",
        "trainer.gradient_clip_val=null",
        "logger=none",
    ]
    settings += ["data=isr", f"data.root={make_folder(count=10)}", "trainer.max_epochs=2", f"hydra.sweep.dir={folder}"]
    code, text = command(*settings)
    assert code == 1, text
    assert "1 diverged, 1 done" in text
    done, diverged = find_cells(folder)
    assert (diverged.status, done.status) == ("diverged", "done")
    assert re.search(r"not finite at step \d+ \(learning rate \S+, gradient norm \S+\)", diverged.reason)


def test_a_refused_cell_is_counted_when_every_job_runs_in_its_own_folder(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = command(
        *("hydra.mode=MULTIRUN", "hydra.job.chdir=true", "hydra.sweep.dir=grid", "trainer.max_epochs=1"),
        *("data=isr", f"data.root={make_folder(count=6)}", "data.patch=32,300"),
    )
    assert code == 1, text
    assert "1 refused" in text
    assert len(RunFolder.below(tmp_path / "grid")) == 1
    assert not list(tmp_path.rglob(".failures"))


def test_relative_data_folders_are_resolved_before_jobs_change_their_directory(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(count=6)
    monkeypatch.chdir(root.parent)
    code, text = command(
        *("hydra.mode=MULTIRUN", "hydra.job.chdir=true", "hydra.sweep.dir=grid", "trainer.max_epochs=1"),
        *("data=isr", f"data.root={root.name}", "data.cache=disk", "data.cache_dir=cache", "seed=1,2"),
        "hydra.sweep.subdir=${seed}",
    )
    assert code == 0, text
    assert len(RunFolder.below(Path("grid"))) == 2
    assert Path("cache").is_dir()
    assert not list(Path("grid").rglob("cache"))


@pytest.fixture
def grid(tmp_path: Path) -> DictConfig:
    """The config of a sweep over two models and two losses, with a repeated option and the folder names of a grid."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", ["experiment=grid"], return_hydra_config=True)
    with open_dict(config):
        config.hydra.sweep.dir = str(tmp_path / "grid")
        config.hydra.overrides.task = ["model=espcn,vdsr", "loss=mse,mae", "seed=1"]
        config.hydra.sweeper.params = {}
    return config


def names_planned(config: DictConfig) -> list[str]:
    names: list[str] = json.loads((Path(config.hydra.sweep.dir) / PLAN).read_text())["cells"]
    return names


def test_the_cells_of_a_grid_are_planned_before_any_is_trained(grid: DictConfig) -> None:
    Summary().on_multirun_start(grid)
    names = names_planned(grid)
    assert len(names) == 4
    assert [name.split("_")[:2] for name in names] == [
        ["espcn", "mse"],
        ["espcn", "mae"],
        ["vdsr", "mse"],
        ["vdsr", "mae"],
    ]
    assert {cell.status for cell in find_cells(Path(grid.hydra.sweep.dir))} == {Standing.PENDING}


def test_lists_of_the_experiment_are_part_of_the_plan(grid: DictConfig) -> None:
    grid.hydra.sweeper.params = {"model": "espcn", "optimizer": "adam,sgd"}
    Summary().on_multirun_start(grid)
    assert len(names_planned(grid)) == 8  # the command line replaces the experiment's models
    grid.hydra.overrides.task = ["seed=1"]
    Summary().on_multirun_start(grid)
    assert len(names_planned(grid)) == 2


def test_failures_of_an_earlier_start_are_forgotten(grid: DictConfig) -> None:
    folder = Path(grid.hydra.sweep.dir)
    folder.mkdir()
    (folder / ".failures").write_text("0\n1\n")
    Summary().on_multirun_start(grid)
    assert not (folder / ".failures").exists()


def test_a_sweep_ends_with_code_1_and_names_what_is_unfinished(
    grid: DictConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    make = RunFolders(Path(grid.hydra.sweep.dir))
    make("espcn_mse_adam", [0.5])
    Summary().on_multirun_end(grid)
    assert caplog.messages == [f"{grid.hydra.sweep.dir}: 1 done"]
    caplog.clear()
    make("vdsr_mse_adam", [0.5], status=Status.DIVERGED, reason="the loss is not finite")
    (make.root / ".failures").write_text("1\n2\n")  # the diverged cell and one that was refused
    with pytest.raises(SystemExit) as error_info:
        Summary().on_multirun_end(grid)
    assert error_info.value.code == 1
    assert caplog.messages == [
        f"{grid.hydra.sweep.dir}: 1 diverged, 1 done, 1 refused, see above",
        "vdsr_mse_adam diverged: the loss is not finite",
    ]
    assert not (make.root / ".failures").exists()


def test_runs_of_other_sweeps_inside_its_folder_do_not_count(
    grid: DictConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = Path(grid.hydra.sweep.dir)
    RunFolders(folder)("espcn_mse_adam", [0.5])
    RunFolders(folder / "another")("vdsr_mse_adam", [0.5], status=Status.FAILED)
    Summary().on_multirun_end(grid)
    assert caplog.messages == [f"{folder}: 1 done"]


@pytest.mark.parametrize("plan", ["[]", '{"cells": 7}', '{"cells": ["/elsewhere/x"]}', "{"])
def test_a_damaged_plan_hides_no_run(tmp_path: Path, plan: str) -> None:
    write_run(tmp_path / "espcn_mse")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / PLAN).write_text(plan)
    assert [cell.name for cell in find_cells(tmp_path)] == ["espcn_mse"]


def test_a_sweep_whose_cells_were_all_refused_ends_with_code_1(
    grid: DictConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = Path(grid.hydra.sweep.dir)
    folder.mkdir()
    (folder / ".failures").write_text("0\n1\n")
    with pytest.raises(SystemExit) as error_info:
        Summary().on_multirun_end(grid)
    assert error_info.value.code == 1
    assert caplog.messages == [f"{folder}: 2 refused, see above"]


def test_a_search_has_no_plan_and_no_summary(grid: DictConfig, caplog: pytest.LogCaptureFixture) -> None:
    with open_dict(grid.hydra):
        grid.hydra.sweeper = {"_target_": "hydra_plugins.sr_optuna.sweeper.OptunaSweeper", "direction": "maximize"}
    Summary().on_multirun_start(grid)
    Summary().on_multirun_end(grid)
    assert not Path(grid.hydra.sweep.dir).exists()
    assert caplog.messages == []
    grid.hydra.sweeper.direction = "minimize"
    with pytest.raises(SystemExit) as error_info:
        Summary().on_multirun_start(grid)
    assert error_info.value.code == 2
