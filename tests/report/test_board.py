import numpy as np
import pytest
from scipy import stats

from sr.report.board import Row, leaderboard
from sr.report.comparison import Comparison, find_comparisons
from sr.report.run import Run
from sr.report.statistics import Interval, bootstrap_interval
from sr.runs.schema import RunResult, Status
from sr.runs.scores import MeanSd
from tests.support.run_folders import RunFolders


def only_comparison(run_folders: RunFolders) -> Comparison:
    (comparison,) = find_comparisons(run_folders.root).comparisons
    return comparison


def run_row(
    gain: float = 1.0, low: float = 0.5, p: float | None = None, rank: int | None = 2, loses_to: str = ""
) -> Row:
    """A leaderboard row of a run."""
    run = Run("run", (), RunResult(Status.DONE, {}), {}, {}, [])
    return Row("run", run, rank, MeanSd(30.0), MeanSd(0.9), MeanSd(gain), Interval(low, 2.0), loses_to, p)


def test_scores_are_means_and_standard_deviations_over_folds(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.2, 0.4, 1.0, 1.2])
    run_folders("vdsr_mse_adam", [1.2, 1.4, 2.0, 2.6])
    best, second, baseline = leaderboard(only_comparison(run_folders))
    assert [row.name for row in (best, second, baseline)] == ["vdsr_mse_adam", "espcn_mse_adam", "unprocessed input"]
    assert (best.rank, second.rank, baseline.rank) == (1, 2, None)
    # Folds a, b and c, d: inputs 27.0 and 28.5, gains 1.3 and 2.3; sd of two values: difference over sqrt(2).
    assert (best.psnr.mean, best.psnr.sd) == pytest.approx((29.55, 2.5 / 2**0.5))
    assert (best.gain.mean, best.gain.sd) == pytest.approx((1.8, 1.0 / 2**0.5))
    assert (best.ssim.mean, best.ssim.sd) == pytest.approx((0.818, 0.01 / 2**0.5))
    assert (second.gain.mean, second.gain.sd) == pytest.approx((0.7, 0.8 / 2**0.5))
    assert (baseline.psnr.mean, baseline.psnr.sd) == pytest.approx((27.75, 1.5 / 2**0.5))
    assert (baseline.ssim.mean, baseline.ssim.sd) == (0.8, 0)
    assert (baseline.gain, baseline.interval, baseline.p) == (MeanSd(0.0, None), (0, 0), None)
    assert best.interval == bootstrap_interval([1.2, 1.4, 2.0, 2.6])
    assert best.interval.low < 1.8 < best.interval.high


def test_intervals_are_computed_over_images_not_folds(run_folders: RunFolders) -> None:
    gains = [0.1, 0.9, 0.4, 1.7, 0.2, 3.1]
    run_folders("espcn_mse_adam", gains, folds=(0, 0, 0, 1, 1, 1))
    row = leaderboard(only_comparison(run_folders))[0]
    assert row.interval == bootstrap_interval(gains)
    assert row.interval != bootstrap_interval([1.4 / 3, 5.0 / 3])


def test_a_single_fold_has_no_standard_deviation(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.2, 0.4, 1.0, 1.2], folds=None)
    for board_row in leaderboard(only_comparison(run_folders)):
        assert board_row.psnr.sd is board_row.ssim.sd is board_row.gain.sd is None


def test_equal_runs_are_ranked_by_name_and_below_an_equal_baseline(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [0.0] * 4, command="a")
    run_folders("espcn_mse_adam", [0.0] * 4, command="b")
    rows = leaderboard(only_comparison(run_folders))
    assert [(row.name, row.rank) for row in rows] == [
        ("unprocessed input", None),
        ("espcn_mse_adam", 1),
        ("vdsr_mse_adam", 2),
    ]
    assert rows[2].p == 1.0


def test_only_runs_not_significantly_worse_tie_with_the_best(run_folders: RunFolders) -> None:
    random = np.random.default_rng(0)
    gains = random.normal(1, 0.2, 20)
    noise = random.normal(0, 0.1, 20)
    folds = [0, 1] * 10
    run_folders("vdsr_mse_adam", list(gains + 0.02), folds=folds)
    run_folders("vdsr_mae_adam", list(gains + noise - noise.mean()), folds=folds)
    run_folders("espcn_mse_adam", list(gains - 0.5 + noise), folds=folds)
    best, tie, loser = [row for row in leaderboard(only_comparison(run_folders)) if row.run]
    assert (best.name, best.p, best.best) == ("vdsr_mse_adam", None, True)
    assert not tie.best
    assert tie.ties
    assert tie.verdict == "tie with the best"
    assert not loser.ties
    assert loser.verdict == ""
    # Two comparisons: Holm doubles the smaller p and leaves the larger.
    expected = stats.wilcoxon(gains - 0.5 + noise, gains + 0.02).pvalue
    assert loser.p == pytest.approx(2 * expected)
    assert tie.p == pytest.approx(stats.wilcoxon(noise - noise.mean(), np.full(20, 0.02)).pvalue)


@pytest.mark.parametrize(("p", "ties"), [(0.01, False), (0.03, False), (0.0499, False), (0.05, True), (1.0, True)])
def test_runs_tie_if_p_is_at_least_5_percent(p: float, ties: bool) -> None:
    assert run_row(p=p).ties is ties
    assert run_row(p=p).verdict == ("tie with the best" if ties else "")


@pytest.mark.parametrize(
    ("gain", "lanczos", "verdict"),
    [
        (0.01, -1.0, "best"),
        (0.004, -1.0, "LOSES TO ITS INPUT"),
        (-1.0, 0.5, "LOSES TO ITS INPUT"),
        (0.3, 0.2, "best"),
        (0.3, 0.4, "LOSES TO LANCZOS"),
    ],
)
def test_a_run_has_to_beat_every_baseline(run_folders: RunFolders, gain: float, lanczos: float, verdict: str) -> None:
    run_folders("vdsr_mse_adam", [gain] * 4, baselines={"nearest": -2.0, "lanczos": lanczos}, scale=2)
    (row,) = (row for row in leaderboard(only_comparison(run_folders)) if row.run)
    assert row.verdict == verdict
    assert row.loses is verdict.startswith("LOSES")


@pytest.mark.parametrize(
    ("low", "verdict"),
    [
        (-0.1, "best, not significantly better than its input"),
        (0.0, "best, not significantly better than its input"),
        (0.1, "best"),
    ],
)
def test_a_gain_whose_interval_contains_zero_is_doubtful(low: float, verdict: str) -> None:
    assert run_row(low=low, rank=1).verdict == verdict
    assert run_row(low=low).doubtful is (low <= 0)


def test_a_run_that_loses_to_its_input_is_not_also_doubtful() -> None:
    assert not run_row(gain=-0.1, low=-0.5, loses_to="its input").doubtful


def test_runs_that_lose_to_their_input_are_ranked_below_it_and_marked(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [1.0, -0.2, -0.2, -0.2])
    run_folders("espcn_mse_adam", [-0.1, -0.1, -0.1, -0.1])
    rows = leaderboard(only_comparison(run_folders))
    assert [(row.name, row.verdict) for row in rows] == [
        ("vdsr_mse_adam", "best, not significantly better than its input"),
        ("unprocessed input", "no model"),
        ("espcn_mse_adam", "LOSES TO ITS INPUT"),
    ]
    assert not rows[1].loses
    assert not rows[1].doubtful


def test_nearest_and_lanczos_are_listed_if_images_are_upscaled(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.5] * 4, scale=2, baselines={"nearest": -1.5, "lanczos": 0.1})
    rows = leaderboard(only_comparison(run_folders))
    assert [row.name for row in rows] == ["espcn_mse_adam", "Lanczos", "bicubic", "nearest"]
    assert [row.gain.mean for row in rows] == pytest.approx([0.5, 0.1, 0, -1.5])
    assert [row.ssim.mean for row in rows] == pytest.approx([0.805, 0.7, 0.8, 0.7])
    assert rows[3].interval == pytest.approx((-1.5, -1.5))


def test_the_interval_is_that_of_the_gain_beside_it_also_with_folds_of_unequal_size(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1, 0.9, 1.0, 0.95, 1.05, 0.98], folds=(0, 1, 1, 1, 1, 1))
    row = next(row for row in leaderboard(only_comparison(run_folders)) if row.run)
    assert row.gain.mean == pytest.approx((0.1 + (0.9 + 1.0 + 0.95 + 1.05 + 0.98) / 5) / 2)
    assert row.interval.low <= row.gain.mean <= row.interval.high
