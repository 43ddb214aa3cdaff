import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sr.errors import UserError
from sr.io.atomic import write_text
from sr.io.hashes import files_hash
from sr.io.run_folder import RunFolder
from sr.report import folders
from sr.report.folders import FolderContents
from sr.report.run import Evaluation, Run
from sr.runs.schema import Status
from sr.runs.status import PLAN
from tests.support.run_folders import RunFolders, config, data


def read_runs(folder: Path) -> FolderContents:
    contents = FolderContents()
    folders.read_runs(folder, contents)
    return contents


def gains(run: Run) -> list[float]:
    return [scores["gain"] for scores in run.images.values()]


def test_a_run_has_scores_folds_and_photographs_of_its_images(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.2, 0.4, 1.0, 1.2], folds=(1, 0, 1, 0))
    (run,) = read_runs(run_folders.root).runs
    assert gains(run) == [0.2, 0.4, 1.0, 1.2]
    assert [scores["psnr"] for scores in run.images.values()] == pytest.approx([26.2, 28.4, 31.0, 28.2])
    assert list(run.folds.values()) == [1, 0, 1, 0]
    assert run.groups == {name: name for name in "abcd"}  # tables of old do not name them
    assert run.choices == ("espcn", "mse", "adam")
    assert run.curve == [{"epoch": 1, "val/gain": 0.35}, {"epoch": 2, "val/gain": 0.7}]
    assert set(run.images["a"]) == {"psnr", "ssim", "gain", "input_psnr", "input_ssim"}


def test_images_are_sorted_by_name_along_with_their_scores_and_folds(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [3.0, 1.0, 2.0], names=["c", "a", "b"], folds=(0, 1, 1))
    (run,) = read_runs(run_folders.root).runs
    assert list(run.images) == ["a", "b", "c"]
    assert gains(run) == [1.0, 2.0, 3.0]
    assert dict(run.folds) == {"a": 1, "b": 1, "c": 0}


def test_images_of_a_single_fold_have_its_number(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [1.0, 2.0], folds=None, config=config(1))
    run_folders("vdsr_mse_adam", [1.0, 2.0], folds=None, config={"data": {"fold": 1, "folds": None}})
    run_of_fold, run_without_folds = read_runs(run_folders.root).runs
    assert dict(run_of_fold.folds) == {"a": 1, "b": 1}
    assert dict(run_without_folds.folds) == {"a": 0, "b": 0}


def test_runs_are_found_at_any_depth_but_fold_folders_are_ignored(run_folders: RunFolders) -> None:
    first = run_folders("grid/espcn_mse_adam", [0.2, 0.4, 1.0, 1.2])
    shutil.copytree(first, RunFolder(first).fold(0).path)
    run_folders("origin/old/espcn_mse_adam", [-1, -1, -1, -1])
    runs = read_runs(run_folders.root).runs
    assert [(run.name, run.folders) for run in runs] == [
        ("grid/espcn_mse_adam", (first,)),
        ("origin/old/espcn_mse_adam", (run_folders.root / "origin/old/espcn_mse_adam",)),
    ]


def test_the_photographs_of_images_are_read(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4, groups=["p", "p", "q", "q"])
    (run,) = read_runs(run_folders.root).runs
    assert run.groups == {"a": "p", "b": "p", "c": "q", "d": "q"}
    assert "group" not in run.images["a"]


def test_each_seed_of_a_cell_is_a_run_and_those_that_are_not_done_are_left_out(run_folders: RunFolders) -> None:
    cell = run_folders("espcn_mse_adam", [0.2] * 4, status=Status.INTERRUPTED)
    for seed in (1, 2):
        shutil.move(run_folders(f"vdsr_mse_{seed}", [float(seed)] * 4, seed=seed), RunFolder(cell).seed(seed).path)
    shutil.move(run_folders("vdsr_mse_3", [3.0] * 4, status=Status.RUNNING), RunFolder(cell).seed(3).path)
    contents = read_runs(run_folders.root)
    assert [(run.name, run.seed, gains(run)[0]) for run in contents.runs] == [
        ("espcn_mse_adam/seed_1", 1, 1.0),
        ("espcn_mse_adam/seed_2", 2, 2.0),
    ]
    assert [cell.name for cell in contents.unfinished] == ["espcn_mse_adam"]


def test_the_folder_of_a_run_is_read_without_its_siblings(
    run_folders: RunFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_folders("espcn_mse_adam", [0.2, 0.4, 1.0, 1.2])
    run_folders("espcn_mae_adam", [0.2, 0.4, 1.0, 1.2])
    assert [run.name for run in read_runs(first).runs] == ["espcn_mse_adam"]
    monkeypatch.chdir(first)
    assert [run.name for run in read_runs(Path()).runs] == ["espcn_mse_adam"]


def test_unfinished_runs_are_listed_with_their_reason(run_folders: RunFolders) -> None:
    run_folders("grid/espcn_mse_adam", [0.1] * 4)
    reason = "fold 1: the loss is not finite at step 7"
    run_folders("grid/espcn_mse_sgd", [0.1] * 4, status=Status.DIVERGED, reason=reason)
    write_text(run_folders.root / "grid" / PLAN, json.dumps({"cells": ["espcn_mse_adam", "vdsr_mse_adam"]}))
    contents = read_runs(run_folders.root)
    assert [run.name for run in contents.runs] == ["grid/espcn_mse_adam"]
    assert [(cell.name, cell.status, cell.reason) for cell in contents.unfinished] == [
        ("grid/espcn_mse_sgd", "diverged", reason),
        ("grid/vdsr_mse_adam", "pending", ""),
    ]


def truncated_result(folder: RunFolder) -> None:
    text = folder.result.read_text()
    folder.result.write_text(text[: len(text) // 2])


def no_images(folder: RunFolder) -> None:
    folder.images.unlink()


def no_image_rows(folder: RunFolder) -> None:
    folder.images.write_text(folder.images.read_text().splitlines(keepends=True)[0])


def half_of_the_images(folder: RunFolder) -> None:
    folder.images.write_text("".join(folder.images.read_text().splitlines(keepends=True)[:3]))


def no_metrics(folder: RunFolder) -> None:
    folder.metrics.unlink()


def no_baseline(folder: RunFolder) -> None:
    folder.images.write_text(folder.images.read_text().replace("input_psnr", "in_psnr"))


def text_instead_of_a_number(folder: RunFolder) -> None:
    folder.images.write_text(folder.images.read_text().replace("26.1", "high"))


def remove_from_record(key: str, folder: RunFolder) -> None:
    record = json.loads(folder.result.read_text())
    del record[key]
    folder.result.write_text(json.dumps(record))


def no_data(folder: RunFolder) -> None:
    remove_from_record("data", folder)


def incomplete_record(folder: RunFolder) -> None:
    folder.result.write_text('{"status": "done"}')


def list_instead_of_a_record(folder: RunFolder) -> None:
    folder.result.write_text("[]")


DAMAGES = [
    truncated_result,
    no_images,
    no_image_rows,
    half_of_the_images,
    no_metrics,
    no_baseline,
    text_instead_of_a_number,
    no_data,
    incomplete_record,
    list_instead_of_a_record,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_reported_in_one_line_and_the_others_are_read(
    run_folders: RunFolders, damage: Callable[[RunFolder], None]
) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    damage(RunFolder(run_folders("vdsr_mse_adam", [0.1] * 4, folds=None)))
    contents = read_runs(run_folders.root)
    assert [run.name for run in contents.runs] == ["espcn_mse_adam"]
    (problem,) = contents.problems
    assert "vdsr_mse_adam" in problem
    assert "retrain=true" in problem
    assert "\n" not in problem


def test_the_damage_of_a_run_is_described(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    for number, damage in enumerate((no_baseline, half_of_the_images, no_data)):
        damage(RunFolder(run_folders(f"vdsr_mse_adam_{number}", [0.1] * 4, folds=None)))
    problems = read_runs(run_folders.root).problems
    assert "(images.csv has no column input_psnr)" in problems[0]
    assert "(images.csv has 2 images, the run validated 4)" in problems[1]
    assert "(result.json does not describe the images)" in problems[2]


def test_a_record_of_schema_1_is_read(run_folders: RunFolders) -> None:
    folder = RunFolder(run_folders("espcn_mse_adam", [0.1] * 4))
    remove_from_record("schema", folder)
    (run,) = read_runs(run_folders.root).runs
    assert (run.result.steps, run.choices) == (100, ("espcn", "mse", "adam"))


@pytest.mark.parametrize(
    ("limit", "count", "complete"),
    [(2, 2, True), (2, 1, False), (9, 5, True), (9, 4, False), (0.5, 2, True), (0.5, 5, False)],
)
def test_a_run_with_limited_validation_batches_is_complete(
    run_folders: RunFolders, limit: float, count: int, complete: bool
) -> None:
    run_folders("vdsr_mse_adam", [0.2])
    settings = config(0) | {"trainer": {"limit_val_batches": limit}}
    run_folders("espcn_mse_adam", [0.2] * count, folds=None, config=settings, data=data(5))
    contents = read_runs(run_folders.root)
    assert len(contents.problems) == (not complete)
    assert [len(run.images) for run in contents.runs] == ([count] if complete else []) + [1]


def test_a_cross_validation_with_limited_validation_batches_is_complete(run_folders: RunFolders) -> None:
    settings = config() | {"trainer": {"limit_val_batches": 2}}
    run_folders("espcn_mse_adam", [0.2] * 4, config=settings, data=data(5))
    contents = read_runs(run_folders.root)
    assert not contents.problems
    assert len(contents.runs[0].images) == 4


def test_folders_without_a_finished_run_are_refused(run_folders: RunFolders, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        read_runs(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no finished run in it, 0 unfinished: see sr status"):
        read_runs(tmp_path)
    run_folders("espcn_mse_adam", [0.1] * 4, status=Status.FAILED)
    with pytest.raises(UserError, match="no finished run in it, 1 unfinished: see sr status"):
        read_runs(tmp_path)
    truncated_result(RunFolder(run_folders("vdsr_mse_adam", [0.1] * 4)))
    with pytest.raises(UserError, match=r"no finished run in it; .*is damaged"):
        read_runs(run_folders.root)


@pytest.mark.parametrize("as_folds", [False, True])
def test_scores_of_other_weights_than_those_of_the_run_are_left_out(run_folders: RunFolders, as_folds: bool) -> None:
    run = RunFolder(run_folders("espcn_mse_adam", [0.1] * 4))
    checkpoints = [run.fold(0).best, run.fold(1).best] if as_folds else [run.best]
    for number, path in enumerate(checkpoints):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes([number]))
    row = {"model": "espcn", "data": "Set5", "scale": 2, "protocol": "y", "psnr": 36.5, "ssim": 0.95, "images": 5}
    run.evaluations.mkdir()
    write_text(run.evaluations / "set5.json", json.dumps([row | {"weights": files_hash(checkpoints)}]))
    write_text(run.evaluations / "before.json", json.dumps([row]))  # by a version that recorded no hash
    assert len(read_runs(run_folders.root).runs[0].evaluations) == 2
    checkpoints[-1].write_bytes(b"trained further")
    contents = read_runs(run_folders.root)
    assert len(contents.runs[0].evaluations) == 1
    assert contents.problems == [
        f"{run.evaluations / 'set5.json'}: left out, the run has other weights by now: run sr evaluate again"
    ]
    for path in checkpoints:
        path.unlink()
    assert len(read_runs(run_folders.root).runs[0].evaluations) == 2  # weights are large, and scores are kept


@pytest.mark.parametrize("content", ['{"psnr": 1}', "[1]", "null"])
def test_scores_of_another_form_are_damaged_files(run_folders: RunFolders, content: str) -> None:
    run = RunFolder(run_folders("espcn_mse_adam", [0.1] * 4))
    run.evaluations.mkdir()
    (run.evaluations / "a.json").write_text(content)
    contents = read_runs(run_folders.root)
    assert contents.runs[0].evaluations == []
    assert "a.json: left out, it is damaged" in contents.problems[0]


def test_scores_on_other_data_sets_are_read_and_damaged_files_reported(run_folders: RunFolders) -> None:
    folder = RunFolder(run_folders("espcn_mse_adam", [0.1] * 4)).evaluations
    folder.mkdir()
    row = {"model": "espcn", "data": "Set5", "scale": 2, "protocol": "y", "psnr": 36.5, "ssim": 0.95, "images": 5}
    write_text(folder / "set5.json", json.dumps([row | {"ms": 3.5}]))
    write_text(folder / "set14.json", "[{")
    write_text(folder / "urban.json", json.dumps([{name: value for name, value in row.items() if name != "psnr"}]))
    contents = read_runs(run_folders.root)
    assert contents.runs[0].evaluations == [Evaluation("espcn", "Set5", 2, "y", 36.5, 0.95, 5, folder=folder.parent)]
    set14, urban = contents.problems
    assert set14.startswith(f"{folder / 'set14.json'}: left out, it is damaged (")
    reason = "it is damaged (Object missing required field `psnr`): run sr evaluate again"
    assert urban == f"{folder / 'urban.json'}: left out, {reason}"
