"""Runs that are trained longer than they were meant to be."""

from pathlib import Path

import pytest
import torch

from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.runs.schema import Extension, read_result
from tests.support.runs import Command, MakeFolder, StopAt, result_of


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(RunFolder(folder).last, weights_only=True)["state_dict"]
    return state


def extensions(folder: Path) -> list[Extension]:
    result = read_result(folder)
    assert result is not None
    assert result.is_done
    return result.extensions


def test_a_finished_run_is_extended_as_if_it_had_been_meant_to_be_that_long(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=10)}", "scheduler=constant")
    assert command(*settings, "trainer.max_epochs=4", folder="long")[0] == 0
    assert command(*settings, "trainer.max_epochs=2")[0] == 0
    assert extensions(tmp_path / "run") == []
    code, text = command(*settings, "trainer.max_epochs=4")
    assert code == 0, text
    assert "extended from 2 to 4 epochs; the learning rate follows the schedule of the new length" in text
    assert "resuming from" in text
    long, extended = last_weights(tmp_path / "long"), last_weights(tmp_path / "run")
    assert all(torch.equal(long[name], extended[name]) for name in long)
    assert [row["epoch"] for row in read_table(RunFolder(tmp_path / "run").metrics)] == ["1", "2", "3", "4"]
    assert extensions(tmp_path / "run") == [Extension(2, 2, 4)]
    code, text = command(*settings, "trainer.max_epochs=4")
    assert "done before" in text
    assert command(*settings, "trainer.max_epochs=5")[0] == 0
    assert extensions(tmp_path / "run") == [Extension(2, 2, 4), Extension(4, 4, 5)]


def test_an_extended_cosine_goes_on_at_the_rate_of_the_new_length(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=10)}", "scheduler=cosine")
    assert command(*settings, "trainer.max_epochs=4", folder="long")[0] == 0
    assert command(*settings, "trainer.max_epochs=2")[0] == 0
    assert command(*settings, "trainer.max_epochs=4")[0] == 0
    long, extended = (
        [float(row["lr"]) for row in read_table(RunFolder(tmp_path / name).metrics)] for name in ("long", "run")
    )
    assert extended[1] < long[1]  # the end of the short cosine
    assert extended[2:] == pytest.approx(long[2:])


def test_an_interrupted_run_may_be_extended_too(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = "+callbacks.stop={_target_: tests.support.runs.StopAt, step: 3}"
    settings = ("data=isr", f"data.root={make_folder(count=10)}", stop)
    assert command(*settings, "trainer.max_epochs=3", interrupted=True)[0] == 130
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*settings, "trainer.max_epochs=5")
    assert code == 0, text
    (extension,) = extensions(tmp_path / "run")
    assert (extension.before, extension.after) == (3, 5)
    assert extension.epochs_done in (0, 1)
    assert len(read_table(RunFolder(tmp_path / "run").metrics)) == 5


@pytest.mark.parametrize("changes", [("trainer.max_epochs=1",), ("trainer.max_epochs=3", "optimizer.lr=1e-3")])
def test_fewer_epochs_and_other_changes_make_it_another_run(
    command: Command, make_folder: MakeFolder, tmp_path: Path, changes: tuple[str, ...]
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=10)}", "optimizer.lr=1e-4")
    assert command(*settings, "trainer.max_epochs=2")[0] == 0
    before = RunFolder(tmp_path / "run").result.read_bytes()
    code, text = command(*settings, *changes)
    assert code == 2
    assert "holds a run of another config" in text
    assert "only more seeds or more trainer.max_epochs extend a run" in text
    assert RunFolder(tmp_path / "run").result.read_bytes() == before


def test_every_fold_of_a_cross_validation_is_extended(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=10)}", "data.folds=2", "data.fold=all")
    assert command(*settings, "trainer.max_epochs=1")[0] == 0
    code, text = command(*settings, "trainer.max_epochs=2")
    assert code == 0, text
    for folder in (tmp_path / "run", tmp_path / "run" / "fold_0", tmp_path / "run" / "fold_1"):
        assert extensions(folder) == [Extension(1, 1, 2)]
        assert len(read_table(RunFolder(folder).metrics)) == 2


def test_retraining_names_what_it_deletes(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=10)}", "trainer.max_epochs=1", "logger=none")
    assert "retrain=true deletes" not in command(*settings, "retrain=true")[1]
    text = command(*settings, "retrain=true")[1]
    (line,) = [line for line in text.splitlines() if "retrain=true deletes the earlier run" in line]
    for name in ("result.json", "metrics.csv", "split.csv", "checkpoints/best.ckpt", "samples.png"):
        assert name in line


def test_a_run_without_a_checkpoint_to_resume_from_is_not_extended(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=10)}")
    assert command(*settings, "trainer.max_epochs=1")[0] == 0
    run = RunFolder(tmp_path / "run")
    for path in (run.last, run.previous):
        path.unlink(missing_ok=True)
    code, text = command(*settings, "trainer.max_epochs=2")
    assert code == 2, text
    assert "holds a run of another config, trainer.max_epochs: 1 there, 2 here" in text


def test_an_extended_run_has_no_test_scores_of_earlier_weights(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=10)}")
    assert command(*settings, "trainer.max_epochs=1", "test=true")[0] == 0
    assert RunFolder(tmp_path / "run").test_images.is_file()
    assert command(*settings, "trainer.max_epochs=2")[0] == 0
    assert not RunFolder(tmp_path / "run").test_images.exists()


def test_a_seed_that_is_added_does_not_hide_that_the_others_were_extended(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=10)}", "logger=none")
    assert command(*settings, "seeds=[1]", "trainer.max_epochs=1")[0] == 0
    assert command(*settings, "seeds=[1]", "trainer.max_epochs=2")[0] == 0
    assert command(*settings, "seeds=[2]", "trainer.max_epochs=2")[0] == 0
    assert extensions(tmp_path / "run") == [Extension(1, 1, 2)]


def test_a_run_that_another_limit_ended_keeps_its_epochs_and_is_not_extended(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = (
        *("data=isr", f"data.root={make_folder(count=10)}", "data.repeat=4", "data.batch_size=8"),
        "+trainer.max_steps=3",
    )
    assert command(*settings, "trainer.max_epochs=5")[0] == 0
    before = result_of(tmp_path / "run")
    assert command(*settings, "trainer.max_epochs=5", "test=true")[0] == 0
    again = result_of(tmp_path / "run")
    assert (again["epochs"], again["steps"]) == (before["epochs"], before["steps"])
    assert before["epochs"] < 5
    code, text = command(*settings, "trainer.max_epochs=9")
    assert code == 2, text
    assert f"the run ended after {before['epochs']} of 5 epochs, by another limit such as trainer.max_steps" in text


def test_a_run_that_was_ended_before_its_first_step_has_nothing_to_test(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=10)}", "+trainer.max_time=00:00:00:00")
    assert command(*settings)[0] == 0
    code, text = command(*settings, "test=true")
    assert code == 2, text
    assert "nothing was trained, so there is nothing to test" in text
