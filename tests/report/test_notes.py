from typing import Any

import pytest

from sr.report.analysis import analyse
from sr.report.board import leaderboard
from sr.report.comparison import find_comparisons
from sr.report.notes import notes
from sr.runs.schema import Extension, InitialWeights
from tests.support.run_folders import RunFolders, data

SCALE_1 = "At scale 1 nothing is enlarged: nearest, bicubic and Lanczos all return the input unchanged."
SIX_FOLDS = (0, 0, 0, 1, 1, 1)


def notes_of(run_folders: RunFolders) -> list[str]:
    """The notes but the first, on what the verdicts rest on: see test_conclusions.py."""
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    analysis = analyse(comparison)
    first, *rest = notes(comparison, analysis, leaderboard(analysis))
    assert first.startswith("Rests on 6 photographs, 1 training of each configuration, ")
    return rest


def test_a_comparison_without_limitations_has_no_other_notes(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 6, folds=SIX_FOLDS, scale=2)
    run_folders("vdsr_mse_adam", [0.2] * 6, folds=SIX_FOLDS, scale=2)
    assert notes_of(run_folders) == []


def test_scale_1_is_noted(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 6, folds=None)
    assert notes_of(run_folders) == [SCALE_1]


def test_runs_that_lose_to_their_input_are_counted(run_folders: RunFolders) -> None:
    for loss, gain in (("mse", 0.5), ("mae", -0.1), ("vgg", 0.0)):
        run_folders(f"vdsr_{loss}_adam", [gain] * 6, folds=SIX_FOLDS, scale=2)
    assert notes_of(run_folders) == [
        "2 of 3 configurations do not beat their input: using no model at all would be better."
    ]


def test_runs_that_lose_to_another_baseline_are_counted_apart(run_folders: RunFolders) -> None:
    for loss, gain in (("mse", 0.5), ("mae", 0.1), ("vgg", -0.1)):
        run_folders(f"vdsr_{loss}_adam", [gain] * 6, folds=SIX_FOLDS, scale=2, baselines={"lanczos": 0.2})
    assert notes_of(run_folders) == [
        "1 of 3 configurations do not beat their input: using no model at all would be better.",
        "1 of 3 configurations beat their input, but not every other interpolation.",
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


def test_a_winner_with_a_larger_budget_is_noted(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 6, folds=SIX_FOLDS, scale=2, images_seen=1000)
    run_folders("vdsr_mse_adam", [0.2] * 6, folds=SIX_FOLDS, scale=2, images_seen=2000)
    assert notes_of(run_folders) == ["vdsr had a larger budget than any other: training examples."]


def test_initial_weights_of_some_are_noted(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.3] * 6, folds=SIX_FOLDS, scale=2)
    initial = InitialWeights("espcn_x2", "f" * 64, 1000, 8, [], [])
    run_folders("vdsr_mse_adam", [0.2] * 6, folds=SIX_FOLDS, scale=2, initial=initial)
    assert notes_of(run_folders) == ["Some started from trained weights: the budgets count the steps behind those."]
