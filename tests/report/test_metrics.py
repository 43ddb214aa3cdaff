"""Metrics besides PSNR and SSIM in a report: of less that is better, and that some configurations lack."""

import csv
import json
import re
from pathlib import Path

import pytest

import sr
from sr.errors import UserError
from sr.report.analysis import analyse
from sr.report.board import leaderboard
from sr.report.comparison import find_comparisons
from sr.report.notes import notes
from sr.report.page import write_report
from sr.report.sections import Settings
from tests.support.run_folders import RunFolders

TEN = "abcdefghij"


def write_three(run_folders: RunFolders) -> None:
    """Three seeds each of a configuration with the higher PSNR, and of one with the lower distance."""
    for seed, shift in enumerate((-0.01, 0.0, 0.01)):
        gains = [shift + number / 50 for number in range(10)]
        run_folders(
            f"vdsr_mse_adam_{seed}", [g + 1 for g in gains], names=TEN, folds=None, seed=seed, lpips=0.4
        )  # 0.39
        run_folders(f"espcn_mse_adam_{seed}", gains, names=TEN, folds=None, seed=seed, lpips=0.3)


def test_less_of_a_distance_is_better(run_folders: RunFolders) -> None:
    write_three(run_folders)
    (by_psnr,) = sr.compare(str(run_folders.root))
    assert [row.name for row in by_psnr.rows][:2] == ["vdsr", "espcn"]
    (board,) = sr.compare(str(run_folders.root), score="lpips")
    assert [row.name for row in board.rows] == ["espcn", "vdsr", "input"]
    assert [row.verdict for row in board.rows] == ["best", "worse than espcn", "no model"]
    best, worse, baseline = board.rows
    assert best.scores["lpips"] is not None
    assert best.scores["lpips"].mean == pytest.approx(0.3 - 0.0009)
    assert worse.to_best is not None
    assert worse.to_best.mean == pytest.approx(0.09)  # the sign is that of the distance
    assert worse.to_best.interval.low < 0.09 < worse.to_best.interval.high
    assert baseline.to_best is not None
    assert baseline.to_best.mean == pytest.approx(0.5 - 0.2991)
    assert board.headline.startswith("espcn is the best on photographs like these, by 0.0")
    assert "LPIPS" in str(board)


def test_pairs_in_the_json_file_have_the_sign_of_the_distance(run_folders: RunFolders, tmp_path: Path) -> None:
    write_three(run_folders)
    write_report([run_folders.root], tmp_path, json_file=tmp_path / "r.json", settings=Settings(score="lpips"))
    (numbers,) = json.loads((tmp_path / "r.json").read_text())["tables"]
    (pair,) = [pair for pair in numbers["pairs"] if (pair["first"], pair["second"]) == ("vdsr", "espcn")]
    assert pair["difference"] == pytest.approx(0.09)
    assert pair["low"] < 0.09 < pair["high"]
    assert (pair["verdict"], pair["wins"] < 0.5) == ("worse", True)


def test_a_metric_that_one_configuration_lacks_is_an_empty_cell(run_folders: RunFolders, tmp_path: Path) -> None:
    write_three(run_folders)
    run_folders("edsr_mse_adam", [0.5] * 10, names=TEN, folds=None)
    report = write_report([run_folders.root], tmp_path, json_file=tmp_path / "r.json", latex_folder=tmp_path / "tex")
    with (tmp_path / "leaderboard.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["edsr"]["lpips"] == rows["edsr"]["lpips_sd"] == ""
    assert float(rows["vdsr"]["lpips"]) == pytest.approx(0.3891)
    assert float(rows["input"]["lpips"]) == 0.5
    numbers = {row["name"]: row for row in json.loads((tmp_path / "r.json").read_text())["tables"][0]["rows"]}
    assert numbers["edsr"]["lpips"] is None
    (line,) = [line for line in (tmp_path / "report.md").read_text().splitlines() if line.startswith("| 2 | edsr")]
    assert line.split(" | ")[4:7] == ["27.20", "0.8050", ""] or "|  |" in line
    assert re.search(r"<th [^>]*>(<button[^>]*>)?LPIPS<", (tmp_path / "report.html").read_text())
    table = (tmp_path / "tex" / "table.tex").read_text()
    assert r"\multicolumn{3}{c}" in table
    assert r"configuration & PSNR & SSIM & LPIPS $\downarrow$ \\" in table
    (edsr,) = [line for line in table.splitlines() if line.startswith("edsr")]
    assert edsr.endswith(r"& -- \\")
    caption = (tmp_path / "tex" / "document.tex").read_text()
    assert "Mean PSNR (dB), SSIM and LPIPS." in caption
    assert report.sections[0].analysis.score == "psnr"


def test_psnr_decides_where_a_configuration_lacks_the_metric_and_it_is_said(
    run_folders: RunFolders, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_three(run_folders)
    run_folders("edsr_mse_adam", [0.5] * 10, names=TEN, folds=None)
    report = write_report([run_folders.root], tmp_path, settings=Settings("lpips"))
    assert report.sections[0].analysis.score == "psnr"
    assert "decided by PSNR: edsr has no lpips" in caplog.text


def test_a_metric_that_nothing_has_is_refused(run_folders: RunFolders, tmp_path: Path) -> None:
    write_three(run_folders)
    with pytest.raises(UserError, match="--score must be one of psnr, ssim, lpips, got 'vif'"):
        write_report([run_folders.root], tmp_path, settings=Settings("vif"))


def test_scores_outside_the_range_of_their_metric_are_named(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [0.5, 21.0], names="ab", folds=None)  # SSIM is 0.8 and a hundredth of the gain
    comparison = find_comparisons([run_folders.root]).comparisons[0]
    analysis = analyse(comparison)
    lines = notes(comparison, analysis, leaderboard(analysis))
    assert "SSIM is outside its range, -1 to 1, in 1 of 2 scores, such as 1.01: that or the metric is wrong." in lines
