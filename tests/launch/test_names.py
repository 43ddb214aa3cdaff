"""How cells and runs are named, and that the command finds them again by their names."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from sr.errors import UserError
from sr.launch.names import cell_name, check_name
from sr.launch.sweep import planned, varying
from sr.runs.status import PLAN
from tests.support.runs import Command, MakeFolder, result_of

CHOICES = {"model": "espcn", "loss": "mse", "optimizer": "adam", "scheduler": "cosine"}


def names_of(*overrides: str) -> list[str]:
    cells = planned(overrides)
    return [cell_name({**CHOICES, **cell}, cell, varying(cells)) for cell in cells]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model=espcn,vdsr", "loss=mae", "seed=1"], ["espcn_mae_adam", "vdsr_mae_adam"]),
        (["model=vdsr", "seed=1,2"], ["vdsr_mse_adam_seed1", "vdsr_mse_adam_seed2"]),
        (["optimizer.lr=1e-3,1e-4"], ["espcn_mse_adam_lr0.001", "espcn_mse_adam_lr0.0001"]),
        (["optimizer.lr=1,1e-5"], ["espcn_mse_adam_lr1", "espcn_mse_adam_lr1e-05"]),
        (["model.channels=range(16,33,step=16)"], ["espcn_mse_adam_channels16", "espcn_mse_adam_channels32"]),
        (["scheduler=cosine,step"], ["espcn_mse_adam_scheduler-cosine", "espcn_mse_adam_scheduler-step"]),
        (["data.augment.flip=true,false"], ["espcn_mse_adam_flip-true", "espcn_mse_adam_flip-false"]),
        (["data.augment.rotate90=1,2"], ["espcn_mse_adam_rotate90-1", "espcn_mse_adam_rotate90-2"]),
        (["data.patch=null,-3"], ["espcn_mse_adam_patch-null", "espcn_mse_adam_patch-3"]),
        (["data.scales=[2,3],[2,4]"], ["espcn_mse_adam_scales-2-3", "espcn_mse_adam_scales-2-4"]),
        (["+model.depth='a','b'"], ["espcn_mse_adam_depth-a", "espcn_mse_adam_depth-b"]),
        (["seed=1,2", "data.seed=7,8"], [f"espcn_mse_adam_data.seed{b}_seed{a}" for a in (1, 2) for b in (7, 8)]),
        (
            ["optimizer.lr=1,2", "model.lr=3", "scheduler.warmup=0,1"],
            [f"espcn_mse_adam_lr{lr}_warmup{warmup}" for lr in (1, 2) for warmup in (0, 1)],
        ),
    ],
)
def test_a_cell_is_named_by_its_three_parts_and_whatever_else_varies(
    overrides: Sequence[str], expected: Sequence[str]
) -> None:
    assert names_of(*overrides) == expected


def test_names_do_not_depend_on_the_order_of_options_and_values() -> None:
    names = names_of("seed=1,2", "optimizer.lr=0.1,0.01")
    assert sorted(names_of("optimizer.lr=1e-2,1e-1", "seed=2,1")) == sorted(names)
    assert set(names_of("optimizer.lr=0.1,0.01", "seed=1,2,3")) > set(names)


def test_names_stay_short_unique_and_valid_whatever_the_values() -> None:
    roots = ["/a/" + "b" * 300, "/c/" + "b" * 300, "'/x y/z:1'", "'/x y/z*1'", "'ü/ä'", "'ä/ü'", "..", "'...'", "1.2.3"]
    names = names_of(f"data.root={','.join(roots)}")
    assert len(set(names)) == len(roots)
    assert all(len(name) < 60 for name in names)
    many = names_of(*(f"data.option_number_{number}=10000000,20000000" for number in range(7)))
    assert len(set(many)) == 2**7
    for name in [*names, *many]:
        check_name(name)


@pytest.mark.parametrize("name", ["mine", "1st try", 2024, "a.b", "x" * 100, "ü"])
def test_valid_names_of_runs_are_accepted(name: str | int) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", " ", "a/b", "a\\b", "..", ".hidden", "a.", "a ", "a:b", "a?", "a\nb", "x" * 101, "ü" * 121, ["a"], True],
)
def test_invalid_names_of_runs_are_refused(name: object) -> None:
    with pytest.raises(UserError, match=r"^name=.*: a name ") as error:
        check_name(name)
    assert "\n" not in str(error.value)


@pytest.fixture
def quick(make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options of a run of one epoch, whose folder is made by its name below an empty working directory."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return ["data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1", "logger=none"]


NAMED = "hydra.run.dir='runs/${or:${name},other}'"  # the fixture `command` gives the run another folder


def test_a_named_run_is_resumed_by_its_name_and_refuses_other_configs_and_sweeps(
    command: Command, quick: list[str]
) -> None:
    code, text = command(*quick, NAMED, "name=mine")
    assert code == 0, text
    before = result_of(Path("runs/mine"))
    assert before["config"]["name"] == "mine"
    assert "name=mine" not in before["command"]
    code, text = command(*quick, NAMED, "name=mine")
    assert (code, "done before" in text) == (0, True), text
    code, text = command(*quick, NAMED, "name=mine", "seed=1")
    assert code == 2
    assert "holds a run of another config, data.seed: 23 there, 1 here" in text
    assert "choose another folder (name=, hydra.run.dir" in text
    code, text = command(*quick, "hydra.mode=MULTIRUN", "name=mine", "seed=1,2")
    assert code == 2
    assert text.endswith(
        "error: runs/mine: holds a single run: choose another folder for a sweep (name=, hydra.sweep.dir)\n"
    )
    assert result_of(Path("runs/mine")) == before
    assert [path.name for path in Path("runs").iterdir()] == ["mine"]


@pytest.mark.parametrize("mode", ["RUN", "MULTIRUN"])
@pytest.mark.parametrize("name", ["a/b", ".a", "'a:b'", "''"])
def test_an_invalid_name_ends_in_one_line_and_leaves_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, mode: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = command(f"name={name}", f"hydra.mode={mode}", NAMED)
    assert (code, len(text.splitlines())) == (2, 1), text
    assert text.startswith("error: name='")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["name=a,b"], "error: name= names the whole sweep"),
        (["seed=1,1"], "error: two cells of this sweep get the folder espcn_mse_adam"),
        (["optimizer.lr=1,1.0"], "error: two cells of this sweep get the folder espcn_mse_adam_lr1"),
        (["seed=1,2", "hydra.sweep.subdir=a"], "error: two cells of this sweep get the folder a"),
        (["optimizer.lr=interval(0,1)"], "error: Can only enumerate CHOICE and RANGE sweeps"),
    ],
)
def test_a_sweep_whose_cells_cannot_be_named_apart_is_refused_before_it_starts(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = command("hydra.mode=MULTIRUN", *overrides)
    assert (code, len(text.splitlines())) == (2, 1), text
    assert text.startswith(message)
    assert list(tmp_path.iterdir()) == []


def cells_of(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


@pytest.mark.slow
def test_a_named_grid_over_more_options_resumes_in_any_order_and_refuses_a_single_run(
    command: Command, quick: list[str]
) -> None:
    grid = ["experiment=grid", "model=espcn", "loss=mse", "optimizer=adam", "data.folds=2"]
    code, text = command(*quick, *grid, "name=night", "seed=1,2")
    assert code == 0, text
    folder = Path("runs/night")
    assert cells_of(folder) == {"espcn_mse_adam_seed1", "espcn_mse_adam_seed2"}
    assert json.loads((folder / PLAN).read_text())["cells"] == ["espcn_mse_adam_seed1", "espcn_mse_adam_seed2"]
    before = result_of(folder / "espcn_mse_adam_seed2")
    assert before["config"]["seed"] == 2
    assert before["config"]["name"] is None  # that of the sweep is no name of its cells
    code, text = command(*quick, *grid, "seed=2,1", "name=night")
    assert (code, text.count("done before")) == (0, 2), text
    assert result_of(folder / "espcn_mse_adam_seed2") == before
    code, text = command(*quick, NAMED, "name=night")
    assert code == 2
    assert "runs/night: holds a sweep: choose another folder for a single run" in text
    code, text = command(*quick, *grid, "name=night", "hydra.sweep.dir=runs/day", "seed=1")
    assert code == 0, text
    assert "name=night is not used: hydra.sweep.dir=runs/day names the folder" in text
    assert cells_of(Path("runs/day")) == {"espcn_mse_adam"}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_cells_of_any_sweep_get_the_planned_names_with_every_launcher(
    command: Command, quick: list[str], launcher: str
) -> None:
    sweep = ["hydra.mode=MULTIRUN", f"hydra/launcher={launcher}", "scheduler=glob(*)", "model.channels=8,16"]
    code, text = command(*quick, *sweep, "name=any")
    assert code == 0, text
    planned_names = json.loads(Path("runs/any", PLAN).read_text())["cells"]
    assert len(planned_names) == len(set(planned_names)) == 6
    assert cells_of(Path("runs/any")) == set(planned_names)
    assert "espcn_mse_adam_channels8_scheduler-step" in planned_names


@pytest.mark.slow
def test_cells_of_several_experiments_are_named_by_the_parts_that_these_choose(
    command: Command, quick: list[str]
) -> None:
    options = ["hydra.mode=MULTIRUN", "experiment=espcn,edsr_x2", "data.patch=16", "data.val_share=0.3", "name=both"]
    code, text = command(*quick, *options)
    assert code == 0, text
    names = json.loads(Path("runs/both", PLAN).read_text())["cells"]
    assert names == ["espcn_mae_adam_experiment-espcn", "edsr_mae_adam_experiment-edsr_x2"]
    assert cells_of(Path("runs/both")) == set(names)


@pytest.mark.slow
def test_a_named_search_writes_an_experiment_that_is_not_bound_to_its_folder(
    command: Command, quick: list[str]
) -> None:
    search = ["hydra.mode=MULTIRUN", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1", "model.channels=choice(8,16)"]
    code, text = command(*quick, *search, "name=search")
    assert code == 0, text
    assert cells_of(Path("runs/search")) >= {"trial_0000", "conf"}
    experiment = Path("runs/search/conf/experiment/best.yaml").read_text()
    assert "name:" not in experiment
