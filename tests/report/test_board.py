import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sr.report import captions
from sr.report.analysis import analyse
from sr.report.board import Kind, Row, leaderboard
from sr.report.comparison import find_comparisons
from sr.report.effects import main_effects
from sr.report.verdict_figures import indistinct_groups
from sr.report.verdicts import Verdict
from sr.runs.scores import MeanSd
from tests.support.run_folders import RunFolders

TEN = "abcdefghij"
PHOTOGRAPHS = np.linspace(-0.3, 0.3, 10)  # how much more is gained on some photographs


def rows_of(run_folders: RunFolders, **options: Any) -> list[Row]:
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    return leaderboard(analyse(comparison, **options))


def write_seeds(
    run_folders: RunFolders, name: str, gain: float, seeds: Sequence[float] = (-0.01, 0.0, 0.01), **changes: Any
) -> None:
    """A configuration with a training for each of ``seeds``, which are what each of them gains beyond the others."""
    for seed, shift in enumerate(seeds):
        gains = list(gain + shift + PHOTOGRAPHS + 0.003 * np.cos(np.arange(10) * (seed + 1)))
        run_folders(f"{name}_{seed}", gains, names=TEN, folds=None, seed=seed, **changes)


def test_means_are_over_photographs_and_deviations_between_trainings(run_folders: RunFolders) -> None:
    for seed, gains in enumerate(([0.2, 0.4, 1.0, 1.2], [0.4, 0.6, 1.2, 1.4])):
        run_folders(f"espcn_mse_adam_{seed}", gains, folds=None, seed=seed)
    row, baseline = rows_of(run_folders)
    assert (row.name, row.rank, baseline.name, baseline.rank) == ("espcn, mse, adam", 1, "input", None)
    # Inputs 26, 28, 30 and 27; the trainings gain 0.7 and 0.9: their deviation is the difference over sqrt(2).
    assert (row.psnr.mean, row.psnr.sd) == pytest.approx((27.75 + 0.8, 0.2 / 2**0.5))
    assert (row.ssim.mean, row.ssim.sd) == pytest.approx((0.808, 0.002 / 2**0.5))
    assert row.gain.mean == pytest.approx(0.8)
    assert row.gain.interval.low < 0.8 < row.gain.interval.high
    assert baseline.psnr == MeanSd(27.75, None)
    assert (baseline.gain.mean, *baseline.gain.interval) == (0, 0, 0)


def test_a_photograph_counts_once_however_many_tiles_it_has(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [1.0, 1.0, 1.0, 0.0], folds=None, groups=["p", "p", "p", "q"])
    row = rows_of(run_folders)[0]
    assert row.gain.mean == pytest.approx(0.5)
    assert row.gain.interval.low < 0 < 1 < row.gain.interval.high  # two photographs


def test_the_spread_is_not_the_difficulty_of_folds(run_folders: RunFolders) -> None:
    for seed in range(2):
        run_folders(f"espcn_mse_adam_{seed}", [0.1, 0.1, 9.0, 9.0], seed=seed)
    assert rows_of(run_folders)[0].psnr.sd == pytest.approx(0)


def test_better_worse_and_the_difference_from_the_best(run_folders: RunFolders) -> None:
    write_seeds(run_folders, "vdsr_mse_adam", 1.0)
    write_seeds(run_folders, "espcn_mse_adam", 0.5)
    best, second, _ = rows_of(run_folders)
    assert (best.name, best.kind, best.verdict, best.to_best, best.wins) == ("vdsr", Kind.BEST, "best", None, None)
    assert (second.name, second.kind, second.verdict) == ("espcn", Kind.RUN, "worse than vdsr")
    assert second.to_best is not None
    assert second.to_best.mean == pytest.approx(-0.5, abs=0.01)
    assert second.to_best.interval.low < -0.5 < second.to_best.interval.high < 0
    assert second.wins is not None
    assert second.wins < 0.01


def test_equivalent_and_undecided_configurations_may_be_the_best(run_folders: RunFolders) -> None:
    write_seeds(run_folders, "vdsr_mse_adam", 1.0)
    write_seeds(run_folders, "edsr_mse_adam", 0.999)
    write_seeds(run_folders, "espcn_mse_adam", 0.97, (-0.1, 0.0, 0.1))
    rows = rows_of(run_folders)
    assert [(row.name, row.verdict) for row in rows[:3]] == [
        ("vdsr", "may be the best"),
        ("edsr", "equivalent to vdsr"),
        ("espcn", "may be the best"),
    ]
    assert [row.kind for row in rows[:3]] == [Kind.POSSIBLE, Kind.EQUIVALENT, Kind.POSSIBLE]
    assert rows[1].wins == pytest.approx(0.5, abs=0.1)


def test_one_training_each_gives_no_verdict_on_configurations(run_folders: RunFolders) -> None:
    for name, gain in (("vdsr_mse_adam", 1.0), ("espcn_mse_adam", 0.5), ("edsr_mse_adam", 0.95)):
        noise = 0.2 * np.cos(np.arange(10)) if name.startswith("edsr") else 0
        run_folders(name, list(gain + PHOTOGRAPHS + noise), names=TEN, folds=None)
    rows = rows_of(run_folders)
    assert [(row.name, row.verdict) for row in rows[:3]] == [
        ("vdsr", "highest; no verdict"),
        ("edsr", "these checkpoints do not clearly differ; no verdict"),
        ("espcn", "these checkpoints differ; no verdict"),
    ]
    assert {row.kind for row in rows[:3]} == {Kind.RUN}
    assert all(row.wins is None for row in rows)
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    analysis = analyse(comparison)
    pair = analysis.pairs[analysis.names.index("vdsr"), analysis.names.index("espcn")]
    assert (pair.verdict, pair.on_checkpoints) == (Verdict.UNDECIDED, Verdict.BETTER)
    assert math.isnan(pair.wins)
    told = "0 of 3 pairs are told apart, and 3 have too few trainings for a verdict."
    assert captions.matrix(analysis).text.startswith(told)
    assert captions.effects(main_effects(analysis), analysis).text.endswith(captions.CHECKPOINTS_ALONE)
    assert indistinct_groups(analysis) == [(0, 2)]


def test_a_single_training_beside_repeated_ones_has_no_verdict(run_folders: RunFolders) -> None:
    write_seeds(run_folders, "vdsr_mse_adam", 1.0)
    write_seeds(run_folders, "espcn_mse_adam", 0.5)
    write_seeds(run_folders, "edsr_mse_adam", 2.0, (0.0,))
    rows = rows_of(run_folders)
    assert [(row.name, row.verdict) for row in rows[:3]] == [
        ("edsr", "no verdict: one training"),
        ("vdsr", "best of those trained repeatedly"),
        ("espcn", "worse than vdsr"),
    ]
    assert rows[0].to_best is not None
    assert rows[0].to_best.mean == pytest.approx(1.0, abs=0.01)


def test_all_images_of_one_photograph_give_no_verdict(run_folders: RunFolders) -> None:
    write_seeds(run_folders, "vdsr_mse_adam", 1.0, groups=["p"] * 10)
    write_seeds(run_folders, "espcn_mse_adam", 0.5, groups=["p"] * 10)
    rows = rows_of(run_folders)
    assert {row.kind for row in rows} == {Kind.RUN, Kind.BASELINE}
    assert rows[0].gain.interval == (-np.inf, np.inf)


@pytest.mark.parametrize(
    ("gain", "lanczos", "verdict"),
    [
        (0.1, -1.0, "only one"),
        (0.004, -1.0, "LOSES TO ITS INPUT"),
        (-1.0, 0.5, "LOSES TO ITS INPUT"),
        (0.3, 0.2, "only one"),
        (0.3, 0.4, "LOSES TO LANCZOS"),
    ],
)
def test_a_configuration_has_to_beat_every_baseline(
    run_folders: RunFolders, gain: float, lanczos: float, verdict: str
) -> None:
    run_folders("vdsr_mse_adam", [gain] * 4, baselines={"nearest": -2.0, "lanczos": lanczos}, scale=2)
    (row,) = (row for row in rows_of(run_folders) if row.configuration)
    assert row.verdict == verdict
    assert (row.kind is Kind.LOSES) is verdict.startswith("LOSES")


def test_a_gain_whose_interval_contains_zero_is_doubted(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [1.0, -0.5, -0.5, 0.2], folds=None)
    assert rows_of(run_folders)[0].verdict == "only one, not clearly better than input"


def test_equal_configurations_are_ranked_by_name_and_below_an_equal_baseline(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [0.0] * 4)
    run_folders("espcn_mse_adam", [0.0] * 4)
    assert [(row.name, row.rank) for row in rows_of(run_folders)] == [
        ("input", None),
        ("espcn", 1),
        ("vdsr", 2),
    ]


def test_nearest_and_lanczos_are_listed_and_the_strongest_is_the_reference(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.5] * 4, scale=2, baselines={"nearest": -1.5, "lanczos": 0.1})
    rows = rows_of(run_folders)
    assert [row.name for row in rows] == ["espcn, mse, adam", "Lanczos", "bicubic", "nearest"]
    assert [row.gain.mean for row in rows] == pytest.approx([0.5, 0.1, 0, -1.5])
    assert [row.ssim.mean for row in rows] == pytest.approx([0.805, 0.7, 0.8, 0.7])
    assert rows[1].to_reference is None
    assert rows[0].to_reference is not None
    assert rows[0].to_reference.mean == pytest.approx(0.4)
    named = rows_of(run_folders, reference="BICUBIC")
    assert named[0].to_reference is not None
    assert named[0].to_reference.mean == pytest.approx(0.5)


def test_ssim_can_decide(run_folders: RunFolders) -> None:
    write_seeds(run_folders, "vdsr_mse_adam", 1.0)
    write_seeds(run_folders, "espcn_mse_adam", 0.5)
    best, second, _ = rows_of(run_folders, score="ssim")
    assert (best.verdict, second.verdict) == ("best", "worse than vdsr")
    assert second.to_best is not None
    assert second.to_best.mean == pytest.approx(-0.005, abs=1e-4)


def test_photographs_and_baselines_are_those_that_any_run_recorded(run_folders: RunFolders) -> None:
    groups = ["p", "p", "q", "r"]
    run_folders("espcn_mse_adam", [0.3] * 4, folds=None, scale=2)  # an old table
    run_folders("vdsr_mse_adam", [0.4] * 4, folds=None, scale=2, groups=groups, baselines={"lanczos": 0.5})
    run_folders("vdsr_mse_adam_2", [0.4] * 4, folds=None, scale=2, seed=2)
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    assert comparison.photographs == 3
    rows = {row.name: row for row in rows_of(run_folders)}
    assert rows["vdsr"].verdict == rows["espcn"].verdict == "LOSES TO LANCZOS"
    assert rows["Lanczos"].gain.mean == pytest.approx(0.5)


def test_the_first_of_equivalent_ones_is_best_as_they_are(run_folders: RunFolders) -> None:
    write_seeds(run_folders, "vdsr_mse_adam", 1.0)
    write_seeds(run_folders, "edsr_mse_adam", 0.999)
    assert [row.verdict for row in rows_of(run_folders)[:2]] == ["best, as others are", "equivalent to vdsr"]
