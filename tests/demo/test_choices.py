import json
import os
from pathlib import Path

import pytest

from sr.demo.choices import find_boards, find_models
from sr.io.run_folder import RunFolder
from sr.weights import zoo
from tests.support.run_folders import RunFolders, config


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolders:
    """Run folders below ``runs/``, without shipped networks."""
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "shipped")
    return RunFolders(tmp_path / "runs")


def add_checkpoint(run: Path, changed: float = 0) -> None:
    folder = RunFolder(run)
    folder.checkpoints.mkdir(parents=True)
    folder.best.touch()
    os.utime(folder.best, (changed, changed))


def test_shipped_networks_come_first_then_runs_from_the_newest_to_the_oldest(make: RunFolders) -> None:
    zoo.FOLDER.mkdir()
    (zoo.FOLDER / "espcn.safetensors").touch()
    (zoo.FOLDER / "espcn.json").write_text(json.dumps({"scales": [4]}))
    for age, name in enumerate(("c_mse_adam", "a_mse_adam", "b_mse_adam")):
        add_checkpoint(make(name, [0.5]), 1000 - age)
    add_checkpoint(make("grid/d_mse_adam", [0.5]), 2000)
    models = find_models(make.root)
    assert list(models) == ["espcn", "grid/d_mse_adam", "c_mse_adam", "a_mse_adam", "b_mse_adam"]
    assert models["espcn"] == ("espcn", 4)
    assert models["grid/d_mse_adam"] == (str(make.root / "grid" / "d_mse_adam"), 1)


def test_a_network_for_several_scales_is_a_choice_for_each(make: RunFolders) -> None:
    zoo.FOLDER.mkdir()
    (zoo.FOLDER / "vdsr.safetensors").touch()
    (zoo.FOLDER / "vdsr.json").write_text(json.dumps({"scales": [2, 3]}))
    run = make("vdsr_mse_adam", [0.5], config=config(scales=[3, 4]) | {"scale": 1})
    add_checkpoint(run)
    assert find_models(make.root) == {
        "vdsr, x2": ("vdsr", 2),
        "vdsr, x3": ("vdsr", 3),
        "vdsr_mse_adam, x3": (str(run), 3),
        "vdsr_mse_adam, x4": (str(run), 4),
    }


def test_a_cross_validation_is_one_choice_and_a_run_without_weights_none(make: RunFolders) -> None:
    run = make("espcn_mse_adam", [0.5], config=config() | {"scale": 2})
    for fold in (0, 1):
        add_checkpoint(run / f"fold_{fold}")
    make("never_mse_adam", [0.5])
    assert find_models(make.root) == {"espcn_mse_adam": (str(run), 2)}


def test_a_run_may_be_the_folder_itself(make: RunFolders) -> None:
    run = make("espcn_mse_adam", [0.5], config=config() | {"scale": 3})
    add_checkpoint(run)
    assert find_models(run) == {"espcn_mse_adam": (str(run), 3)}


def test_boards_are_folders_of_several_runs_at_any_depth(make: RunFolders) -> None:
    for name in ("deep/grid/a_mse_adam", "deep/grid/b_mse_adam", "single/a_mse_adam", "a_mse_adam", "b_mse_adam"):
        make(name, [0.5])
    grid = make.root / "deep" / "grid"
    assert find_boards(make.root) == {str(make.root): make.root, str(grid): grid}


def test_folds_of_a_run_are_no_board(make: RunFolders) -> None:
    run = make("espcn_mse_adam", [0.5])
    for number in (0, 1):
        RunFolders(run)(f"fold_{number}_x", [0.5]).rename(run / f"fold_{number}")
    assert find_boards(make.root) == {}
