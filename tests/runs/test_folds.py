import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch

from sr.io.tables import read_table
from sr.runs.scores import over_folds_by_epoch
from tests.support.runs import Command, MakeFolder, result_of

SETTINGS = ("data=isr", "data.folds=3", "data.fold=all", "trainer.max_epochs=2")


def test_mean_and_sd_are_taken_over_the_folds_that_have_an_epoch() -> None:
    first = [{"epoch": "0", "val/psnr": "30", "seconds": "1"}, {"epoch": "1", "val/psnr": "31", "seconds": ""}]
    second = [{"epoch": "0", "val/psnr": "33", "seconds": "3"}]
    assert over_folds_by_epoch([first, second]) == [
        {
            "epoch": 0,
            "folds": 2,
            "val/psnr": 31.5,
            "val/psnr_sd": pytest.approx(4.5**0.5),
            "seconds": 2.0,
            "seconds_sd": pytest.approx(2**0.5),
        },
        {"epoch": 1, "folds": 1, "val/psnr": 31.0},
    ]


@pytest.mark.slow
def test_all_folds_train_fresh_models_and_merge_their_tables(
    command: Command,
    make_folder: MakeFolder,
    tmp_path: Path,
) -> None:
    root = make_folder(count=15)
    code, text = command(*SETTINGS, f"data.root={root}")
    assert code == 0, text
    folder = tmp_path / "run"
    result, fold_dirs = result_of(folder), [folder / f"fold_{fold}" for fold in range(3)]
    results = [result_of(fold_dir) for fold_dir in fold_dirs]
    assert [run_result["status"] for run_result in [result, *results]] == ["done"] * 4
    for name in ("psnr", "ssim", "gain", "input_psnr"):
        means = [fold_result["scores"]["val"][name]["mean"] for fold_result in results]
        expected = {"mean": statistics.fmean(means), "sd": statistics.stdev(means)}
        assert result["scores"]["val"][name] == pytest.approx(expected)
    assert f"val/psnr {result['scores']['val']['psnr']['mean']:.2f} +- " in text

    images = read_table(folder / "images.csv")
    assert len(images) == len({row["name"] for row in images}) == 12
    assert {row["fold"] for row in images} == {"0", "1", "2"}
    epochs = read_table(folder / "metrics.csv")
    fold_psnrs = [float(read_table(fold_dir / "metrics.csv")[1]["val/psnr"]) for fold_dir in fold_dirs]
    assert float(epochs[1]["val/psnr"]) == pytest.approx(statistics.fmean(fold_psnrs))
    assert float(epochs[1]["val/psnr_sd"]) == pytest.approx(statistics.stdev(fold_psnrs))

    weights = [torch.load(path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"] for path in fold_dirs]
    assert not torch.equal(weights[0]["net.body.0.weight"], weights[1]["net.body.0.weight"])
    assert [fold_result["config"]["seed"] for fold_result in results] == [23, 24, 25]
    assert {fold_result["config"]["data"]["seed"] for fold_result in results} == {23}


@pytest.mark.slow
def test_a_single_fold_reproduces_its_training_among_all_folds(
    command: Command,
    make_folder: MakeFolder,
    tmp_path: Path,
) -> None:
    root = make_folder(count=15)
    command(*SETTINGS, f"data.root={root}")
    line = result_of(tmp_path / "run" / "fold_1")["command"]
    assert line.endswith("data.fold=1 data.seed=23 seed=24")
    command("data=isr", "data.folds=3", "trainer.max_epochs=2", f"data.root={root}", *line.split()[-3:], folder="alone")
    scores = [json.dumps(result_of(tmp_path / name)["scores"]) for name in ("alone", "run/fold_1")]
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_finished_folds_are_not_trained_again(
    command: Command,
    make_folder: MakeFolder,
    tmp_path: Path,
) -> None:
    root = make_folder(count=15)
    command(*SETTINGS, f"data.root={root}")
    folder = tmp_path / "run"
    before: dict[str, Any] = {str(fold): result_of(folder / f"fold_{fold}") for fold in range(3)}
    for killed in (folder, folder / "fold_2"):  # the state after a kill during fold 2
        (killed / "result.json").write_text(json.dumps({**result_of(killed), "status": "running"}))
    code, text = command(*SETTINGS, f"data.root={root}")
    assert code == 0
    assert text.count("done before") == 2
    assert "resuming from" in text
    assert result_of(folder)["status"] == "done"
    assert result_of(folder / "fold_0") == before["0"]


def test_all_folds_need_a_number_of_folds(command: Command, make_folder: MakeFolder) -> None:
    code, text = command("data=isr", f"data.root={make_folder(count=5)}", "data.fold=all")
    assert code == 2
    assert "data.fold=all needs data.folds=K" in text
