from typing import Any

import pytest

from sr.report.board import leaderboard
from sr.report.comparison import find_comparisons
from sr.report.notes import notes
from sr.runs.schema import Extension
from tests.support.run_folders import RunFolders, data

FEW = "With fewer than 6 images the paired test cannot reach significance: ties mean nothing here."
SCALE_1 = "At scale 1 nothing is enlarged: nearest, bicubic and Lanczos all return the input unchanged."
ONE_FOLD = "Only one fold was validated, so there is no standard deviation over folds (data.fold=all gives one)."
SIX_FOLDS = (0, 0, 0, 1, 1, 1)


def notes_of(run_folders: RunFolders) -> list[str]:
    (comparison,) = find_comparisons(run_folders.root).comparisons
    return notes(comparison, leaderboard(comparison))


def test_a_comparison_without_limitations_has_no_notes(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 6, folds=SIX_FOLDS, scale=2)
    run_folders("vdsr_mse_adam", [0.2] * 6, folds=SIX_FOLDS, scale=2)
    assert notes_of(run_folders) == []


def test_few_images_scale_1_and_a_single_fold_are_noted(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 5, folds=None)
    assert notes_of(run_folders) == [SCALE_1, FEW, ONE_FOLD]


def test_runs_that_lose_to_their_input_are_counted(run_folders: RunFolders) -> None:
    for number, gain in enumerate((0.5, -0.1, 0.0)):
        run_folders(f"vdsr_mse_adam_{number}", [gain] * 6, folds=SIX_FOLDS, scale=2)
    assert notes_of(run_folders) == ["2 of 3 runs do not beat their input: using no model at all would be better."]


def test_runs_that_lose_to_another_baseline_are_counted_apart(run_folders: RunFolders) -> None:
    for number, gain in enumerate((0.5, 0.1, -0.1)):
        run_folders(f"vdsr_mse_adam_{number}", [gain] * 6, folds=SIX_FOLDS, scale=2, baselines={"lanczos": 0.2})
    assert notes_of(run_folders) == [
        "1 of 3 runs do not beat their input: using no model at all would be better.",
        "1 of 3 runs beat their input, but not every other interpolation: see their verdicts.",
    ]


def test_runs_that_were_extended_are_named(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [0.5] * 6, folds=SIX_FOLDS, scale=2, extensions=[Extension(18, 20, 40)])
    assert notes_of(run_folders) == [
        "vdsr_mse_adam was extended from 20 to 40 epochs, after 18 of them: "
        "its length was chosen with its scores in view."
    ]


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ({"steps": 7}, "number of steps"),
        ({"git_commit": "a" * 40}, "git commit"),
        ({"versions": {"torch": "2.12.0"}}, "package versions"),
        ({"machine": {"processor": "another"}}, "machine"),
    ],
)
def test_conditions_that_differ_are_noted(run_folders: RunFolders, change: dict[str, Any], condition: str) -> None:
    run_folders("espcn_mse_adam", [0.1] * 6, folds=SIX_FOLDS, scale=2)
    run_folders("vdsr_mse_adam", [0.2] * 6, folds=SIX_FOLDS, scale=2, **change)
    assert notes_of(run_folders) == [f"The runs differ in their {condition}: see the commands at the end."]


def test_random_features_are_noted(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 6, folds=SIX_FOLDS, scale=2)
    run_folders("espcn_vgg_adam", [0.1] * 6, folds=SIX_FOLDS, scale=2, loss="vgg (random features)")
    (note,) = notes_of(run_folders)
    assert note.startswith("The VGG loss used random features instead of ImageNet features")


@pytest.mark.parametrize(
    ("count", "listed"),
    [
        (1, "a0, b0."),
        (2, "a0, b0; a1, b1."),
        (5, "a0, b0; a1, b1; a2, b2; a3, b3; a4, b4."),
        (6, "a0, b0; a1, b1; a2, b2; a3, b3; a4, b4 and 1 more group."),
        (8, "a0, b0; a1, b1; a2, b2; a3, b3; a4, b4 and 3 more groups."),
    ],
)
def test_near_identical_images_are_listed(run_folders: RunFolders, count: int, listed: str) -> None:
    groups = [[f"a{number}", f"b{number}"] for number in range(count)]
    run_folders("espcn_mse_adam", [0.1] * 6, folds=SIX_FOLDS, scale=2, data=data(6, groups))
    assert notes_of(run_folders) == [f"Near-identical images were kept on the same side of every split: {listed}"]
