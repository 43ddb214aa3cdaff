"""Runs whose images change, or only move, while they are interrupted."""

import json
from pathlib import Path

import pytest

from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from tests.support.images import photograph
from tests.support.runs import Command, MakeFolder, StopAt, result_of

TWO_FOLDS = ("data.folds=2", "data.fold=all", "trainer.max_epochs=1")
STOP = "+callbacks.stop={_target_: tests.support.runs.StopAt, step: 3}"


@pytest.fixture
def interrupted(command: Command, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """The data folder of a run that was interrupted in its second epoch, and the settings that resume it."""
    root = make_folder(count=10)
    settings = ["data=isr", "trainer.max_epochs=3", STOP]
    code, text = command(*settings, f"data.root={root}", interrupted=True)
    assert code == 130, text
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    return root, settings


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".hydra" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.suffix != ".log"}


def test_a_run_records_its_images_when_training_begins(interrupted: tuple[Path, list[str]], tmp_path: Path) -> None:
    rows = read_table(RunFolder(tmp_path / "run").split)
    counts = result_of(tmp_path / "run")["data"]["images"]
    assert {part: sum(row["part"] == part for row in rows) for part in counts} == counts
    assert sorted(row["name"] for row in rows) == sorted(map(str, range(10)))
    assert len({row["hash"] for row in rows}) == 10


def test_a_run_does_not_resume_with_other_images(
    interrupted: tuple[Path, list[str]], command: Command, tmp_path: Path
) -> None:
    root, settings = interrupted
    before = contents(tmp_path / "run")
    for number in range(10, 20):
        photograph(48, 64, seed=number).save(root / "high_res" / f"{number}.png")
    changed = (root / "high_res" / "3.png").read_bytes()
    photograph(48, 64, seed=99).save(root / "high_res" / "3.png")
    code, text = command(*settings, f"data.root={root}")
    assert code == 2, text
    assert "the images differ from those this run began with: 10 added (10, 11, 12, ...), 1 changed (3)" in text
    assert "restore them, choose another folder (name=, hydra.run.dir), or retrain=true" in text
    assert contents(tmp_path / "run") == before

    (root / "high_res" / "3.png").write_bytes(changed)
    for number in range(10, 20):
        (root / "high_res" / f"{number}.png").unlink()
    code, text = command(*settings, f"data.root={root}")
    assert code == 0, text
    assert "resuming from" in text


def test_a_run_begun_before_images_were_listed_is_compared_by_its_fingerprint(
    interrupted: tuple[Path, list[str]], command: Command, tmp_path: Path
) -> None:
    root, settings = interrupted
    RunFolder(tmp_path / "run").split.unlink()
    (root / "high_res" / "0.png").rename(tmp_path / "0.png")
    code, text = command(*settings, f"data.root={root}")
    assert code == 2
    assert "the images differ from those this run began with: they have another fingerprint: restore them" in text
    (tmp_path / "0.png").rename(root / "high_res" / "0.png")
    assert command(*settings, f"data.root={root}")[0] == 0


def test_a_run_resumes_where_its_images_only_moved_and_other_workers_load_them(
    interrupted: tuple[Path, list[str]], command: Command, tmp_path: Path
) -> None:
    root, settings = interrupted
    moved = root.rename(tmp_path / "moved")
    elsewhere = ("data.num_workers=1", "data.cache=disk", f"data.cache_dir={tmp_path / 'cache'}")
    code, text = command(
        *settings, *elsewhere, f"data.root={moved}", "trainer.log_every_n_steps=1", "callbacks.samples.images=2"
    )
    assert code == 0, text
    assert "resuming from" in text


def test_all_folds_have_the_same_images(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(count=10)
    settings = ("data=isr", f"data.root={root}", *TWO_FOLDS)
    assert command(*settings)[0] == 0
    for folder in (tmp_path / "run", tmp_path / "run" / "fold_1"):  # the state after a kill before fold 1 began
        (folder / "result.json").write_text(json.dumps({**result_of(folder), "status": "running"}))
    for path in RunFolder(tmp_path / "run").fold(1).written_by_training():
        path.unlink()
    photograph(48, 64, seed=50).save(root / "high_res" / "50.png")
    code, text = command(*settings)
    assert code == 2, text
    assert "fold_1: the images differ from those of fold_0: 1 added (50)" in text
    (root / "high_res" / "50.png").unlink()
    assert command(*settings)[0] == 0


def test_retraining_takes_the_images_as_they_are_and_leaves_nothing_of_the_old_weights(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=10)
    settings = ("data=isr", f"data.root={root}", "trainer.max_epochs=1")
    assert command(*settings)[0] == 0
    files = RunFolder(tmp_path / "run")
    files.evaluations.mkdir()
    (files.evaluations / "set5.json").write_text("{}")
    samples = files.samples.stat().st_mtime_ns
    photograph(48, 64, seed=50).save(root / "high_res" / "50.png")
    code, text = command(*settings, "retrain=true", "callbacks.samples.images=0")
    assert code == 0, text
    assert len(read_table(files.split)) == 11
    assert samples
    assert not files.samples.exists()
    assert not list(files.evaluations.glob("*"))


def test_a_finished_run_is_that_of_its_images_wherever_they_lie(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root, settings = make_folder(count=10), ("data=isr", "trainer.max_epochs=1")
    assert command(*settings, f"data.root={root}")[0] == 0
    moved = root.rename(tmp_path / "moved")
    code, text = command(*settings, f"data.root={moved}")
    assert code == 0, text
    assert "done before" in text
    other = make_folder(count=11, name="other")
    code, text = command(*settings, f"data.root={other}")
    assert code == 2, text
    assert "the images differ from those this run began with: 1 added (10)" in text


def test_retrained_folds_take_the_images_as_they_are_and_leave_nothing_of_the_old_ones(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=10)
    settings = ("data=isr", f"data.root={root}", *TWO_FOLDS)
    assert command(*settings)[0] == 0
    run = RunFolder(tmp_path / "run")
    run.evaluations.mkdir()
    (run.evaluations / "set5.json").write_text("[]")
    photograph(48, 64, seed=50).save(root / "high_res" / "50.png")
    code, text = command(
        *settings, "retrain=true", "+callbacks.stop={_target_: tests.support.runs.StopAt, step: 1}", interrupted=True
    )
    assert code == 130, text
    assert not run.fold(1).result.exists()  # it would be joined to the new fold 0
    assert not run.fold(1).has_checkpoints
    assert not list(run.evaluations.iterdir())


def test_folds_of_an_earlier_version_are_compared_by_their_fingerprint(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=10)
    settings = ("data=isr", f"data.root={root}", *TWO_FOLDS)
    assert command(*settings)[0] == 0
    run = RunFolder(tmp_path / "run")
    run.fold(0).split.unlink()
    (run.path / "result.json").write_text(json.dumps({**result_of(run.path), "status": "running"}))
    for path in run.fold(1).written_by_training():
        path.unlink()
    photograph(48, 64, seed=50).save(root / "high_res" / "50.png")
    code, text = command(*settings)
    assert code == 2, text
    assert "the images differ from those of fold_0: they have another fingerprint" in text
