"""The paths of a run folder, and the seeds and folds inside a cell."""

from pathlib import Path

from sr.io.run_folder import RunFolder


def make(folder: RunFolder) -> RunFolder:
    """A run with a record and a best checkpoint."""
    folder.checkpoints.mkdir(parents=True)
    folder.best.touch()
    folder.result.touch()
    return folder


def test_seeds_and_folds_of_a_cell_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    cell = RunFolder(tmp_path)
    cell.result.touch()
    for seed in (23, 9):
        cell.seed(seed).path.mkdir()
        cell.seed(seed).result.touch()
        for fold in (10, 2):
            make(cell.seed(seed).fold(fold))
    (tmp_path / "seed_of_mine").mkdir()
    assert [folder.number for folder in cell.seeds] == [9, 23]
    names = [folder.path.relative_to(tmp_path).as_posix() for folder in cell.trainings]
    assert names == ["seed_9/fold_2", "seed_9/fold_10", "seed_23/fold_2", "seed_23/fold_10"]
    assert cell.best_checkpoints == [folder.best for folder in cell.trainings]
    assert {folder.cell for folder in (*cell.trainings, *cell.seeds, cell)} == {cell}
    assert not cell.can_be_resumed
    cell.seed(23).fold(2).last.touch()
    assert cell.can_be_resumed


def test_a_run_whose_folder_is_called_like_a_seed_is_a_cell_of_its_own(tmp_path: Path) -> None:
    run = make(RunFolder(tmp_path / "seed_5"))
    assert run.cell == run
    assert run.trainings == [run]
    assert run.best_checkpoints == [run.best]
