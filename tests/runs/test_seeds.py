"""Cells that train several seeds, started as a user starts them."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.runs.schema import Status, read_result
from sr.runs.status import find_cells, render
from tests.support.images import photograph
from tests.support.runs import Command, MakeFolder, StopAt, result_of

SETTINGS = ("data=isr", "trainer.max_epochs=1", "logger=none", "callbacks.samples=null")
STOP = "+callbacks.stop={_target_: tests.support.runs.StopAt, step: -1}"
TWO_FOLDS = ("data.folds=2", "data.fold=all")


@pytest.fixture
def cell(tmp_path: Path) -> RunFolder:
    """The folder that `command` trains in."""
    return RunFolder(tmp_path / "run")


def finished_at(cell: RunFolder) -> dict[str, int]:
    return {run.path.name: run.best.stat().st_mtime_ns for run in cell.trainings if run.best.is_file()}


@pytest.mark.slow
def test_each_seed_trains_in_a_folder_of_its_own_and_the_tables_are_joined(
    command: Command, make_folder: MakeFolder, cell: RunFolder, tmp_path: Path
) -> None:
    settings = (*SETTINGS, f"data.root={make_folder(count=10)}", "test=true")
    code, text = command(*settings, "seeds=2")
    assert code == 0, text
    assert [run.path.name for run in cell.trainings] == ["seed_23", "seed_24"]
    results = [result_of(cell.seed(seed).path) for seed in (23, 24)]
    scores = result_of(cell.path)["scores"]
    for part in ("val", "test"):
        means = [result["scores"][part]["psnr"]["mean"] for result in results]
        assert means[0] != means[1]
        expected = {"mean": statistics.fmean(means), "sd": statistics.stdev(means)}
        assert scores[part]["psnr"] == pytest.approx(expected)
        mean, sd = scores[part]["psnr"].values()
        assert f"{part}/psnr {mean:.2f} +- {sd:.2f} dB over 2 seeds, input " in text
    for table in (cell.images, cell.test_images):
        rows = read_table(table)
        assert list(rows[0])[:4] == ["name", "group", "seed", "psnr"]
        assert {row["seed"] for row in rows} == {"23", "24"}
        assert len(rows) == 2 * len({row["name"] for row in rows})
    assert read_table(cell.metrics)[0]["trainings"] == "2"
    assert [result["config"]["data"]["seed"] for result in results] == [23, 24]

    line = results[1]["command"]
    assert line.endswith("seed=24 seeds=null")
    assert command(*settings, "seed=24", folder="alone")[0] == 0
    assert result_of(tmp_path / "alone")["scores"] == results[1]["scores"]


@pytest.mark.slow
def test_the_split_depends_on_the_split_seed_alone(
    command: Command, make_folder: MakeFolder, cell: RunFolder, tmp_path: Path
) -> None:
    settings = (*SETTINGS, f"data.root={make_folder(count=10)}")
    code, text = command(*settings, "seeds=[1,2]", "seed=5")
    assert code == 0, text
    assert "seed=5 is not used: seeds=[1, 2] lists the seeds" in text
    first, second = (run.split.read_bytes() for run in cell.seeds)
    assert first == second
    assert command(*settings, "seed=1", "data.split_seed=5", folder="other")[0] == 0
    other = read_table(RunFolder(tmp_path / "other").split)
    assert {row["name"]: row["part"] for row in other} != {
        row["name"]: row["part"] for row in read_table(cell.seeds[0].split)
    }


@pytest.mark.slow
def test_an_interrupted_cell_is_resumed_where_it_stopped(
    command: Command, make_folder: MakeFolder, cell: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*SETTINGS, f"data.root={make_folder(count=10)}", STOP, "seeds=3")
    trained = []

    def stop_in_the_second(self: StopAt, trainer: Any, *args: Any) -> None:
        trained.append(trainer.default_root_dir)
        if len(set(trained)) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(StopAt, "on_train_batch_end", stop_in_the_second)
    code, text = command(*settings, interrupted=True)
    assert code == 130, text
    assert f"repeat the command with hydra.run.dir='{cell.path}' to resume" in text
    result = read_result(cell.path)
    assert result
    assert (result.status, result.reason) == (Status.INTERRUPTED, "seed 24: Ctrl-C")
    (standing,) = find_cells(cell.path)
    assert standing.trainings == (1, 3)
    assert render([standing]).splitlines()[1].split()[:3] == ["run", "interrupted", "1/3"]
    before = finished_at(cell)

    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*settings)
    assert code == 0, text
    assert text.count("done before") == 1
    assert finished_at(cell)["seed_23"] == before["seed_23"]
    assert find_cells(cell.path)[0].trainings == (3, 3)


@pytest.mark.slow
def test_more_seeds_train_the_missing_ones_alone_and_fewer_leave_those_there_are(
    command: Command, make_folder: MakeFolder, cell: RunFolder
) -> None:
    settings = (*SETTINGS, f"data.root={make_folder(count=10)}")
    assert command(*settings, "seeds=[24]")[0] == 0
    before = finished_at(cell)
    code, text = command(*settings, "seeds=[24,23]")
    assert code == 0, text
    assert text.count("done before") == 1
    assert finished_at(cell)["seed_24"] == before["seed_24"]
    before = finished_at(cell)
    code, text = command(*settings, "seeds=[23]")
    assert code == 0, text
    assert "also holds seed 24, which stays part of the cell (retrain=true trains the named seeds alone)" in text
    assert "over 2 seeds" in text
    assert "nothing to train" in text
    assert finished_at(cell) == before
    assert command(*settings, "seeds=2")[0] == 0  # the same seeds, 23 and 24
    assert finished_at(cell) == before
    code, text = command(*settings, "seeds=[25]", "retrain=true")
    assert code == 0, text
    assert set(finished_at(cell)) == {"seed_25"}
    assert {row["seed"] for row in read_table(cell.images)} == {"25"}


@pytest.mark.slow
def test_a_cell_and_a_single_run_are_not_taken_for_each_other(
    command: Command, make_folder: MakeFolder, cell: RunFolder
) -> None:
    settings = (*SETTINGS, f"data.root={make_folder(count=10)}")
    assert command(*settings)[0] == 0
    code, text = command(*settings, "seeds=2")
    assert code == 2
    assert "holds a run of another config, seeds: null there, 2 here" in text
    assert not cell.seeds
    assert command(*settings, "seeds=[23]", folder="several")[0] == 0
    code, text = command(*settings, folder="several")
    assert code == 2
    assert "seeds: [23] there, null here" in text


@pytest.mark.slow
def test_every_seed_has_the_same_images_and_the_same_split(
    command: Command, make_folder: MakeFolder, cell: RunFolder
) -> None:
    root = make_folder(count=10)
    settings = (*SETTINGS, f"data.root={root}")
    assert command(*settings, "seeds=[2]")[0] == 0
    before = cell.result.read_bytes()
    photograph(48, 64, seed=50).save(root / "high_res" / "50.png")
    code, text = command(*settings, "seeds=[1,2]")
    assert code == 2, text
    assert "seed_1: the images differ from those of seed_2: 1 added (50)" in text
    assert cell.result.read_bytes() == before
    (root / "high_res" / "50.png").unlink()
    code, text = command(*settings, "seeds=[1,2]", "data.split_seed=${seed}", folder="splits")
    assert code == 2, text
    assert "seed_2: the images differ from those of seed_1: " in text
    assert "in another part of the split" in text


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("1", "seeds=1: an integer of 2 or more, a list of integers from 0 to 4294967295, or null is needed"),
        ("0", "seeds=0: "),
        ("abc", "seeds='abc': "),
        ("[1,1]", r"seeds=[1, 1]: a number of seeds, or a list of different ones is needed"),
        ("[]", "seeds=[]: "),
        ("[-1]", "seeds=[-1]: "),
        ("true", "seeds=true: "),
    ],
)
def test_seeds_that_do_not_exist_are_refused_before_anything_is_written(
    command: Command, cell: RunFolder, seeds: str, message: str
) -> None:
    code, text = command(*SETTINGS, "data=demo", f"seeds={seeds}")
    assert code == 2, text
    assert message in text
    assert not cell.path.exists()


@pytest.mark.slow
def test_seeds_of_folds_lie_inside_each_other_and_are_one_cell(
    command: Command, make_folder: MakeFolder, cell: RunFolder
) -> None:
    settings = (*SETTINGS, *TWO_FOLDS, f"data.root={make_folder(count=10)}")
    code, text = command(*settings, "seeds=2")
    assert code == 0, text
    assert "over 2 seeds of 2 folds" in text
    (standing,) = find_cells(cell.path)
    assert standing.trainings == (4, 4)
    parts = [{row["name"]: row["part"] for row in read_table(run.split)} for run in cell.trainings]
    assert parts[0] == parts[2]
    assert parts[1] == parts[3]
    assert parts[0] != parts[1]
    assert len(cell.best_checkpoints) == 4
    assert {run.cell for run in cell.trainings} == {cell}


@pytest.mark.slow
def test_folds_that_an_earlier_version_trained_are_taken_as_they_are(
    command: Command, make_folder: MakeFolder, cell: RunFolder
) -> None:
    settings = (*SETTINGS, "data.folds=2", f"data.root={make_folder(count=10)}")
    for fold in (0, 1):
        seeds = (f"seed={23 + fold}", "data.seed=23")
        assert command(*settings, f"data.fold={fold}", *seeds, folder=f"run/fold_{fold}")[0] == 0
        content = result_of(cell.fold(fold).path)
        del content["config"]["data"]["split_seed"], content["config"]["seeds"], content["trainings"]
        cell.fold(fold).result.write_text(json.dumps({**content, "schema": 2}))
    before = finished_at(cell)
    (cell.path / "result.json").write_text(json.dumps({**result_of(cell.fold(0).path), "status": "running"}))
    content = result_of(cell.path)
    content["config"]["data"]["fold"] = "all"
    cell.result.write_text(json.dumps(content))
    code, text = command(*settings, "data.fold=all")
    assert code == 0, text
    assert text.count("done before") == 2
    assert finished_at(cell) == before
    result = read_result(cell.path)
    assert result
    assert [(training.seed, training.fold) for training in result.trainings] == [(23, 0), (23, 1)]


@pytest.mark.slow
def test_a_finished_cross_validation_is_that_of_its_images_wherever_they_lie(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root, settings = make_folder(count=10), (*SETTINGS, *TWO_FOLDS)
    assert command(*settings, f"data.root={root}")[0] == 0
    code, text = command(*settings, f"data.root={root.rename(tmp_path / 'moved')}")
    assert code == 0, text
    assert "nothing to train" in text
    code, text = command(*settings, f"data.root={make_folder(count=11, name='other')}")
    assert code == 2, text
    assert "the images differ from those this run began with: 1 added (10)" in text
