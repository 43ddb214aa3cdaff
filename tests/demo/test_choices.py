import json
import os
from pathlib import Path

import pytest
import torch

from sr.demo.choices import find_boards, find_models
from sr.io.run_folder import RunFolder
from sr.nets.vdsr import VDSR
from sr.runs.schema import Monitor
from sr.weights import zoo
from sr.weights.checkpoint import network_config
from tests.support.run_folders import RunFolders, config


@pytest.fixture
def write_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolders:
    """Writes run folders in ``runs``; no networks are shipped."""
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "shipped")
    return RunFolders(tmp_path / "runs")


def add_checkpoint(run: Path, modified: float = 0) -> None:
    folder = RunFolder(run)
    folder.checkpoints.mkdir(parents=True)
    folder.best.touch()
    os.utime(folder.best, (modified, modified))


def test_shipped_networks_come_first_then_runs_from_the_newest_to_the_oldest(write_run: RunFolders) -> None:
    zoo.FOLDER.mkdir()
    (zoo.FOLDER / "espcn.safetensors").touch()
    (zoo.FOLDER / "espcn.json").write_text(json.dumps({"scales": [4], "scores": []}))
    for age, name in enumerate(("c_mse_adam", "a_mse_adam", "b_mse_adam")):
        add_checkpoint(write_run(name, [0.5]), 1000 - age)
    add_checkpoint(write_run("grid/d_mse_adam", [0.5]), 2000)
    models = find_models(write_run.root)
    assert list(models) == ["espcn", "grid/d_mse_adam", "c_mse_adam", "a_mse_adam", "b_mse_adam"]
    assert models["espcn"] == ("espcn", 4)
    assert models["grid/d_mse_adam"] == (str(write_run.root / "grid" / "d_mse_adam"), 1)


def test_of_the_shipped_networks_the_one_that_gains_most_comes_first(write_run: RunFolders) -> None:
    zoo.FOLDER.mkdir()
    for name, psnr in (("a", 34.0), ("b", 36.0), ("c", 35.0)):
        (zoo.FOLDER / f"{name}.safetensors").touch()
        about = {"scales": [2], "scores": [{"psnr": psnr, "bicubic_psnr": 33.0}]}
        (zoo.FOLDER / f"{name}.json").write_text(json.dumps(about))
    assert list(find_models(write_run.root)) == ["b", "c", "a"]


def test_a_network_for_several_scales_is_listed_once_per_scale(write_run: RunFolders) -> None:
    zoo.FOLDER.mkdir()
    (zoo.FOLDER / "vdsr.safetensors").touch()
    (zoo.FOLDER / "vdsr.json").write_text(json.dumps({"scales": [2, 3], "scores": []}))
    run = write_run("vdsr_mse_adam", [0.5], config=config(scales=[3, 4]) | {"scale": 1})
    add_checkpoint(run)
    assert find_models(write_run.root) == {
        "vdsr, x2": ("vdsr", 2),
        "vdsr, x3": ("vdsr", 3),
        "vdsr_mse_adam, x3": (str(run), 3),
        "vdsr_mse_adam, x4": (str(run), 4),
    }


def test_a_cross_validation_is_listed_once_and_a_run_without_weights_not_at_all(write_run: RunFolders) -> None:
    run = write_run("espcn_mse_adam", [0.5], config=config() | {"scale": 2})
    for fold in (0, 1):
        add_checkpoint(run / f"fold_{fold}")
    write_run("never_mse_adam", [0.5])
    assert find_models(write_run.root) == {"espcn_mse_adam": (str(run), 2)}


def test_the_folder_may_itself_be_a_run(write_run: RunFolders) -> None:
    run = write_run("espcn_mse_adam", [0.5], config=config() | {"scale": 3})
    add_checkpoint(run)
    assert find_models(run) == {"espcn_mse_adam": (str(run), 3)}


def test_folders_of_several_runs_at_any_depth_have_a_leaderboard(write_run: RunFolders) -> None:
    for name in ("deep/grid/a_mse_adam", "deep/grid/b_mse_adam", "single/a_mse_adam", "a_mse_adam", "b_mse_adam"):
        write_run(name, [0.5])
    grid = write_run.root / "deep" / "grid"
    assert find_boards(write_run.root) == {str(write_run.root): write_run.root, str(grid): grid}


def test_the_folds_of_a_run_have_no_leaderboard(write_run: RunFolders) -> None:
    run = write_run("espcn_mse_adam", [0.5])
    for number in (0, 1):
        RunFolders(run)(f"fold_{number}_x", [0.5]).rename(run / f"fold_{number}")
    assert find_boards(write_run.root) == {}


def test_the_best_cell_of_a_sweep_comes_first_among_its_cells_and_is_marked(write_run: RunFolders) -> None:
    for age, (name, value) in enumerate(
        (("a", 28.0), ("grid/b", 28.1), ("c", 27.0), ("grid/d", 28.3), ("grid/e", 28.2))
    ):
        add_checkpoint(write_run(f"{name}_mse_adam", [0.5], monitor=Monitor("val/psnr", value)), 1000 - age)
    write_run("f_mse_adam", [0.5], scale=2, monitor=Monitor("val/psnr", 28.0))  # so that the runs beside the sweep
    add_checkpoint(write_run.root / "f_mse_adam")  # cannot be ranked
    assert list(find_models(write_run.root).items())[:5] == [
        ("a_mse_adam", (str(write_run.root / "a_mse_adam"), 1)),
        ("grid/d_mse_adam (best of grid)", (str(write_run.root / "grid" / "d_mse_adam"), 1)),
        ("grid/b_mse_adam", (str(write_run.root / "grid" / "b_mse_adam"), 1)),
        ("c_mse_adam", (str(write_run.root / "c_mse_adam"), 1)),
        ("grid/e_mse_adam", (str(write_run.root / "grid" / "e_mse_adam"), 1)),
    ]


def test_a_best_cell_that_loses_to_its_input_is_marked_so(write_run: RunFolders) -> None:
    for name, value in (("a_mse_adam", 25.0), ("b_mse_adam", 24.0)):
        add_checkpoint(write_run(name, [-0.5], monitor=Monitor("val/psnr", value)))
    assert next(iter(find_models(write_run.root))) == "a_mse_adam (best of runs, loses to its input)"


def test_a_run_with_a_damaged_record_is_left_out_with_a_line(
    write_run: RunFolders, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("espcn_mse_adam", "vdsr_mse_adam"):
        add_checkpoint(write_run(name, [0.5]))
    RunFolder(write_run.root / "vdsr_mse_adam").result.write_text("{")
    assert [name for name, _ in find_models(write_run.root).values()] == [str(write_run.root / "espcn_mse_adam")]
    (line,) = caplog.messages
    assert "vdsr_mse_adam" in line
    assert line.endswith("(not offered)")


def test_a_model_that_is_named_and_has_several_scales_is_listed_once_per_scale(tmp_path: Path) -> None:
    path = tmp_path / "many.ckpt"
    description = network_config({"_target_": "sr.nets.vdsr.VDSR", "num_blocks": 1, "channels": 4}, 2, "rgb", [2, 3])
    state = {f"net.{name}": value for name, value in VDSR(num_blocks=1, channels=4).state_dict().items()}
    torch.save({"sr": description, "state_dict": state}, path)
    models = find_models(tmp_path, [str(path)])
    assert {label: choice for label, choice in models.items() if choice[0] == str(path)} == {
        f"{path}, x2": (str(path), 2),
        f"{path}, x3": (str(path), 3),
    }
