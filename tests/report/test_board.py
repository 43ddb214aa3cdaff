import numpy as np
import pytest
from scipy import stats

from sr.report.board import leaderboard, notes
from sr.report.folders import Comparison, find_runs
from tests.support.run_folders import RunFolders


def only(run_folders: RunFolders) -> Comparison:
    (comparison,) = find_runs(run_folders.root).comparisons
    return comparison


def test_the_board_holds_golden_numbers(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.2, 0.4, 1.0, 1.2])
    run_folders("vdsr_mse_adam", [1.2, 1.4, 2.0, 2.6])
    best, second, baseline = leaderboard(only(run_folders))
    assert [row.name for row in (best, second, baseline)] == ["vdsr_mse_adam", "espcn_mse_adam", "input, untouched"]
    assert (best.rank, second.rank, baseline.rank) == (1, 2, None)
    # Folds a, b and c, d: inputs 27.0 and 28.5, gains 1.3 and 2.3; sd of two numbers is their distance over root 2.
    assert best.psnr == pytest.approx((29.55, 2.5 / 2**0.5))
    assert best.gain == pytest.approx((1.8, 1.0 / 2**0.5))
    assert best.ssim == pytest.approx((0.818, 0.01 / 2**0.5))
    assert second.gain == pytest.approx((0.7, 0.8 / 2**0.5))
    assert baseline.psnr == pytest.approx((27.75, 1.5 / 2**0.5))
    assert [baseline.gain[0], *baseline.interval] == [0, 0, 0]
    assert best.interval[0] < 1.8 < best.interval[1]


def test_runs_no_worse_than_chance_tie_with_the_best_and_others_do_not(run_folders: RunFolders) -> None:
    random = np.random.default_rng(0)
    gains = random.normal(1, 0.2, 20)
    noise = random.normal(0, 0.1, 20)
    folds = [0, 1] * 10
    run_folders("vdsr_mse_adam", list(gains + 0.02), folds=folds)
    run_folders("vdsr_mae_adam", list(gains + noise - noise.mean()), folds=folds)
    run_folders("espcn_mse_adam", list(gains - 0.5 + noise), folds=folds)
    best, tie, loser = [row for row in leaderboard(only(run_folders)) if row.run]
    assert (best.name, best.p, best.best) == ("vdsr_mse_adam", None, True)
    assert tie.ties
    assert tie.verdict == "tie with the best"
    assert not loser.ties
    # Two comparisons: Holm doubles the smaller p and leaves the larger.
    expected = stats.wilcoxon(gains - 0.5 + noise, gains + 0.02).pvalue
    assert loser.p == pytest.approx(2 * expected)
    assert tie.p == pytest.approx(stats.wilcoxon(noise - noise.mean(), np.full(20, 0.02)).pvalue)


def test_runs_that_lose_to_their_input_stand_below_it_and_are_marked(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [1.0, -0.2, -0.2, -0.2])
    run_folders("espcn_mse_adam", [-0.1, -0.1, -0.1, -0.1])
    rows = leaderboard(only(run_folders))
    assert [row.name for row in rows] == ["vdsr_mse_adam", "input, untouched", "espcn_mse_adam"]
    assert rows[0].doubtful
    assert rows[0].verdict == "best, not surely better than its input"
    assert rows[2].loses
    assert rows[2].verdict == "LOSES TO ITS INPUT"
    assert "1 of 2 do not beat their input: no model at all would be better." in notes(only(run_folders), rows)


def test_nearest_and_lanczos_stand_in_the_table_where_images_are_enlarged(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.5] * 4, scale=2, baselines={"nearest": -1.5, "lanczos": 0.1})
    rows = leaderboard(only(run_folders))
    assert [row.name for row in rows] == ["espcn_mse_adam", "Lanczos", "bicubic", "nearest"]
    assert [row.gain[0] for row in rows] == pytest.approx([0.5, 0.1, 0, -1.5])


def test_what_weakens_the_comparison_is_said(run_folders: RunFolders) -> None:
    run_folders("espcn_vgg_adam", [0.1] * 4, loss="vgg (random features)", folds=None)
    data = {"fingerprint": "0123456789abcdef", "images": {"val": 4}, "near_identical": [["a", "d"]]}
    run_folders("vdsr_mse_adam", [0.1] * 4, steps=7, folds=None, data=data)
    comparison = only(run_folders)
    said = " ".join(notes(comparison, leaderboard(comparison)))
    for words in ("random features", "differ in their steps", "One fold", "fewer than 6 images"):
        assert words in said
    run_folders("vdsr_mae_adam", [0.2] * 4, data=data)
    comparison.runs.sort(key=lambda run: run.name == "espcn_vgg_adam")
    assert "a, d." in " ".join(notes(comparison, leaderboard(comparison)))
