import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sr.errors import UserError
from sr.io.atomic import write_text
from sr.report.folders import find_runs
from tests.support.run_folders import RunFolders


def test_scores_of_images_become_means_of_folds(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.2, 0.4, 1.0, 1.2])
    (comparison,) = find_runs(run_folders.root).comparisons
    (run,) = comparison.runs
    assert run.column("gain") == [0.2, 0.4, 1.0, 1.2]
    assert run.by_fold("gain") == pytest.approx([0.3, 1.1])
    assert run.levels == ("espcn", "mse", "adam")
    assert comparison.title == "4 images, scale 1, protocol rgb, data 01234567"


def test_runs_are_found_at_any_depth_without_their_folds_and_one_alone(run_folders: RunFolders) -> None:
    first = run_folders("grid/espcn_mse_adam", [0.2, 0.4, 1.0, 1.2])
    shutil.copytree(first, first / "fold_0")
    run_folders("origin/espcn_mse_adam", [-1, -1, -1, -1])
    (comparison,) = find_runs(run_folders.root).comparisons
    assert [(run.name, run.sweep) for run in comparison.runs] == [
        ("grid/espcn_mse_adam", "grid"),
        ("origin/espcn_mse_adam", "origin"),
    ]
    (alone,) = find_runs(first).comparisons
    assert [run.name for run in alone.runs] == ["espcn_mse_adam"]


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "y"},
        {"scale": 2},
        {"data": {"fingerprint": "other", "images": {"val": 4}}},
        {"config": {"data": {"fold": "all", "folds": 2, "shrink": 4}}},
    ],
)
def test_other_protocols_scales_and_data_get_a_table_of_their_own(
    run_folders: RunFolders, change: dict[str, Any]
) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    run_folders("espcn_mse_sgd", [0.2] * 4)
    run_folders("vdsr_mse_adam", [0.3] * 4, **change)
    found = find_runs(run_folders.root)
    assert [len(comparison.runs) for comparison in found.comparisons] == [2, 1]
    assert not found.problems


def test_runs_on_other_images_of_the_same_data_are_not_mixed(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    run_folders("vdsr_mse_adam", [0.1] * 3, folds=(0, 0, 1))
    assert len(find_runs(run_folders.root).comparisons) == 2


def test_what_is_not_done_is_named_with_its_reason(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    run_folders("espcn_mse_sgd", [0.1] * 4, status="diverged", reason="fold 1: the loss is not finite at step 7")
    write_text(run_folders.root / "sweep.json", json.dumps({"cells": ["espcn_mse_adam", "vdsr_mse_adam"]}))
    found = find_runs(run_folders.root)
    assert [(cell.name, cell.status) for cell in found.unfinished] == [
        ("espcn_mse_sgd", "diverged"),
        ("vdsr_mse_adam", "pending"),
    ]
    assert "step 7" in found.unfinished[0].reason


def half_a_result(folder: Path) -> None:
    text = (folder / "result.json").read_text()
    (folder / "result.json").write_text(text[: len(text) // 2])


def no_images(folder: Path) -> None:
    (folder / "images.csv").unlink()


def half_the_images(folder: Path) -> None:
    lines = (folder / "images.csv").read_text().splitlines(keepends=True)
    (folder / "images.csv").write_text("".join(lines[:3]))


def no_baseline(folder: Path) -> None:
    text = (folder / "images.csv").read_text()
    (folder / "images.csv").write_text(text.replace("input_psnr", "in_psnr"))


def words_for_numbers(folder: Path) -> None:
    text = (folder / "images.csv").read_text()
    (folder / "images.csv").write_text(text.replace("26.1", "high"))


def no_protocol(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    del result["protocol"]
    (folder / "result.json").write_text(json.dumps(result))


def another_shape(folder: Path) -> None:
    (folder / "result.json").write_text('{"status": "done"}')


def a_list(folder: Path) -> None:
    (folder / "result.json").write_text("[]")


DAMAGES = [
    half_a_result,
    no_images,
    half_the_images,
    no_baseline,
    words_for_numbers,
    no_protocol,
    another_shape,
    a_list,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_named_in_one_line_and_the_rest_reported(
    run_folders: RunFolders, damage: Callable[[Path], None]
) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    damage(run_folders("vdsr_mse_adam", [0.1] * 4, folds=None))
    found = find_runs(run_folders.root)
    assert [run.name for run in found.comparisons[0].runs] == ["espcn_mse_adam"]
    (problem,) = found.problems
    assert "vdsr_mse_adam" in problem
    assert "\n" not in problem


def test_a_run_that_validated_a_part_on_request_is_whole(run_folders: RunFolders) -> None:
    config = {"data": {"fold": 0, "shrink": 2}, "trainer": {"limit_val_batches": 2}}
    data = {"fingerprint": "x", "images": {"val": 5}, "near_identical": []}
    run_folders("espcn_mse_adam", [0.2, 0.4], folds=None, config=config, data=data)
    found = find_runs(run_folders.root)
    assert not found.problems
    assert len(found.comparisons[0].runs[0].images) == 2


def test_folders_without_a_finished_run_are_refused(run_folders: RunFolders, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no run in it is done"):
        find_runs(tmp_path)
    half_a_result(run_folders("vdsr_mse_adam", [0.1] * 4))
    with pytest.raises(UserError, match="is damaged"):
        find_runs(run_folders.root)


def test_scores_on_other_images_are_read_and_damaged_ones_named(run_folders: RunFolders) -> None:
    folder = run_folders("espcn_mse_adam", [0.1] * 4) / "evaluations"
    folder.mkdir()
    row = {"model": "espcn", "data": "Set5", "scale": 2, "protocol": "y", "psnr": 36.5, "ssim": 0.95, "images": 5}
    (folder / "set5.json").write_text(json.dumps([row]))
    (folder / "set14.json").write_text("[{")
    found = find_runs(run_folders.root)
    assert found.comparisons[0].runs[0].evaluations == [row]
    assert len(found.problems) == 1
    assert "set14.json" in found.problems[0]


def test_folds_trained_as_runs_of_their_own_are_joined(run_folders: RunFolders) -> None:
    def part(number: int, fold: int, names: list[str], shrink: int = 2) -> Path:
        data = {"folds": 2, "fold": fold, "shrink": shrink}
        folder = run_folders(f"vdsr_mse_adam_{number}", [0.2, 0.4], folds=None, config={"data": data, "seed": fold})
        text = (folder / "images.csv").read_text()
        for old, new in zip("ab", names, strict=True):
            text = text.replace(f"\n{old},", f"\n{new},")
        (folder / "images.csv").write_text(text)
        return folder

    part(0, 0, ["a", "b"])
    part(1, 1, ["c", "d"])
    other = part(2, 1, ["c", "d"], shrink=4)
    joined, alone = (comparison.runs[0] for comparison in find_runs(run_folders.root).comparisons)
    assert joined.name == "vdsr_mse_adam (folds 0, 1)"
    assert dict(joined.folds) == {"a": 0, "b": 0, "c": 1, "d": 1}
    assert joined.by_fold("gain") == pytest.approx([0.3, 0.3])
    assert joined.result.train_seconds == 120
    assert joined.curve[1]["val/gain"] == pytest.approx(0.3)
    assert str(joined.result.command).count("python -m sr.train") == 2
    assert alone.folders == (other,)
