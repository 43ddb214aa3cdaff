import csv
from pathlib import Path

import numpy as np
import pytest

from sr.io.tables import write_table
from sr.report.comparison import find_comparisons
from sr.report.sections import Settings, board_of
from sr.report.statistics import Scope
from sr.report.table import table
from sr.runs.schema import Status
from sr.terms import Protocol
from tests.support.run_folders import FINGERPRINT, RunFolders

BEST = [1.0, 1.2, 1.4, 1.7, 2.0, 2.2]
SECOND = [0.2, 0.4, 0.1, 0.9, 0.3, 0.6]
FOLDS = (0, 0, 0, 1, 1, 1)


@pytest.fixture
def rows(run_folders: RunFolders, tmp_path: Path) -> list[dict[str, str]]:
    """The rows of the CSV file of two runs, a run under another protocol, and an unfinished run."""
    run_folders("vdsr_mse_adam", BEST, folds=FOLDS, parameters=668_227, ms_per_image=30.5, steps=300)
    run_folders("espcn_mae_sgd", SECOND, folds=FOLDS, ms_per_image=None, git_commit=None)
    run_folders("espcn_vgg_adam", [0.5], folds=None, protocol=Protocol.Y, scale=4)
    run_folders("vdsr_mse_sgd", BEST, status=Status.DIVERGED, reason="the loss is not finite", folds=FOLDS)
    contents = find_comparisons([run_folders.root])
    boards = [board_of(comparison, Settings(), Scope.LIKE_THESE) for comparison in contents.comparisons]
    write_table(tmp_path / "leaderboard.csv", table(boards, contents.unfinished))
    with (tmp_path / "leaderboard.csv").open() as file:
        return list(csv.DictReader(file))


def test_rows_list_the_leaderboards_then_the_unfinished_runs(rows: list[dict[str, str]]) -> None:
    columns = ("table", "rank", "name", "status", "verdict", "kind", "reason")
    assert [tuple(row[column] for column in columns) for row in rows] == [
        (
            "1",
            "1",
            "vdsr, mse, adam",
            "done",
            "highest; no verdict, not clearly better than input",
            "run",
            "",
        ),
        (
            "1",
            "2",
            "espcn, mae, sgd",
            "done",
            "these checkpoints do not clearly differ; no verdict, not clearly better than input",
            "run",
            "",
        ),
        ("1", "", "input", "baseline", "no model", "baseline", ""),
        ("2", "1", "espcn, vgg, adam", "done", "only one, not clearly better than bicubic", "run", ""),
        ("2", "", "bicubic", "baseline", "no model", "baseline", ""),
        ("", "", "vdsr_mse_sgd", "diverged", "", "", "the loss is not finite"),
    ]


def test_conditions_are_those_of_the_comparison(rows: list[dict[str, str]]) -> None:
    conditions = [(row["protocol"], row["scale"], row["data"], row["images"]) for row in rows]
    first, second = ("rgb", "1", FINGERPRINT, "6"), ("y", "4", FINGERPRINT, "1")
    assert conditions == [first, first, first, second, second, ("", "", "", "")]


def test_scores_match_those_computed_from_the_images(rows: list[dict[str, str]]) -> None:
    inputs = [26, 28, 30, 27, 25, 25]
    for row, gains in zip(rows[:3], (BEST, SECOND, [0.0] * 6), strict=True):
        values = {name: float(row[name]) for name in ("psnr", "ssim", "gain", "gain_low", "gain_high")}
        assert values["psnr"] == pytest.approx(np.mean(inputs) + np.mean(gains))
        assert values["ssim"] == pytest.approx(0.8 + np.mean(gains) / 100)
        assert values["gain"] == pytest.approx(np.mean(gains))
        assert values["gain_low"] <= values["gain"] <= values["gain_high"]
    assert float(rows[1]["to_best"]) == pytest.approx(np.mean(SECOND) - np.mean(BEST))
    assert float(rows[1]["to_best_low"]) < float(rows[1]["to_best"]) < float(rows[1]["to_best_high"]) < 0
    assert rows[0]["to_best"] == rows[2]["to_reference"] == ""
    assert {row["wins_against_best"] for row in rows} == {""}  # one training each


def test_costs_come_from_the_run_record(rows: list[dict[str, str]]) -> None:
    assert (
        rows[0].items()
        >= {
            "model": "vdsr",
            "loss": "mse",
            "optimizer": "adam",
            "folds": "2",
            "seeds": "1",
            "is_quiet": "False",
            "trials": "1",
            "parameters": "668227",
            "multiply_adds": "1579155456",
            "ms_per_image": "30.5",
            "train_seconds": "60.0",
            "seconds": "90.0",
            "steps": "300",
            "epochs": "2",
            "git_commit": "f" * 40,
            "torch": "2.13.0",
            "command": "python -m sr.train model=vdsr loss=mse optimizer=adam",
        }.items()
    )
    assert (rows[1]["ms_per_image"], rows[1]["git_commit"], rows[1]["folds"]) == ("", "", "2")
    assert rows[3]["folds"] == "1"
    assert rows[2]["parameters"] == rows[2]["command"] == ""
