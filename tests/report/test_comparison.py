from pathlib import Path
from typing import Any

import pytest

from sr.report.comparison import find_comparisons
from sr.report.run import Run
from sr.terms import Protocol
from tests.support.run_folders import RunFolders, config, data


def names(comparison_runs: list[Run]) -> list[str]:
    return [run.name for run in comparison_runs]


def test_the_title_states_what_all_runs_have_in_common(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    run_folders("espcn_mae_adam", [0.1], protocol=Protocol.Y, scale=3)
    titles = [comparison.title for comparison in find_comparisons(run_folders.root).comparisons]
    assert titles == ["1 image, scale 3, protocol y, data 01234567", "4 images, scale 1, protocol rgb, data 01234567"]


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": Protocol.Y},
        {"scale": 2},
        {"data": data(4, fingerprint="other")},
        {"config": config(shrink=4)},
    ],
)
def test_each_protocol_scale_and_data_set_has_its_own_table(run_folders: RunFolders, change: dict[str, Any]) -> None:
    run_folders("vdsr_mse_adam", [0.1] * 4)
    run_folders("vdsr_mse_sgd", [0.2] * 4)
    run_folders("espcn_mse_adam", [0.3] * 4, **change)  # first by name, but not in the largest table
    contents = find_comparisons(run_folders.root)
    assert [names(comparison.runs) for comparison in contents.comparisons] == [
        ["vdsr_mse_adam", "vdsr_mse_sgd"],
        ["espcn_mse_adam"],
    ]
    assert not contents.problems


def test_shrink_matters_at_scale_1_only(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [0.1] * 4, scale=2)
    run_folders("vdsr_mse_sgd", [0.2] * 4, scale=2, config=config(shrink=4))
    (comparison,) = find_comparisons(run_folders.root).comparisons
    assert comparison.shrink is None
    assert len(comparison.runs) == 2


def test_runs_on_other_images_of_the_same_data_are_not_mixed(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    run_folders("vdsr_mse_adam", [0.1] * 3, folds=(0, 0, 1))
    assert len(find_comparisons(run_folders.root).comparisons) == 2


class FoldWriter:
    """Writes the folds of one training as separate runs."""

    def __init__(self, run_folders: RunFolders) -> None:
        self.run_folders = run_folders
        self.root = run_folders.root

    def __call__(self, number: int, fold: int, images: str, gains: tuple[float, float], **changes: Any) -> Path:
        settings = config(fold) | {"run_dir": f"runs/{number}", "seed": fold, "callbacks": {"fold": fold}}
        settings |= changes.pop("settings", {})
        return self.run_folders(
            f"vdsr_mse_adam_{number}",
            gains,
            names=images,
            folds=None,
            config=settings,
            seconds=90.0 + fold,
            train_seconds=60.0 + fold,
            command=f"train {fold}",
            **changes,
        )


@pytest.fixture
def write_fold(run_folders: RunFolders) -> FoldWriter:
    return FoldWriter(run_folders)


def test_folds_trained_as_separate_runs_are_joined(write_fold: FoldWriter) -> None:
    # The last fold is written first, and the images of the two folds alternate.
    fold_1 = write_fold(0, 1, "bd", (0.6, 0.8))
    fold_0 = write_fold(1, 0, "ac", (0.2, 0.4))
    (comparison,) = find_comparisons(write_fold.root).comparisons
    (joined,) = comparison.runs
    assert joined.name == "vdsr_mse_adam (folds 0, 1)"
    assert joined.folders == (fold_0, fold_1)
    assert list(joined.images) == ["a", "b", "c", "d"]
    assert joined.column("gain") == [0.2, 0.6, 0.4, 0.8]
    assert dict(joined.folds) == {"a": 0, "b": 1, "c": 0, "d": 1}
    assert joined.by_fold("gain") == pytest.approx([0.3, 0.7])
    assert joined.result.train_seconds == 60 + 61
    assert joined.result.seconds == 90 + 91
    assert joined.result.command == "train 0; train 1"
    # The gains of the last epoch are 0.3 and 0.7: their standard deviation is the difference over sqrt(2).
    assert joined.curve[1]["val/gain"] == pytest.approx(0.5)
    assert joined.curve[1]["val/gain_sd"] == pytest.approx(0.4 / 2**0.5)


def test_joined_folds_share_a_table_with_a_cross_validation_in_one_run(
    write_fold: FoldWriter, run_folders: RunFolders
) -> None:
    write_fold(0, 0, "ac", (0.2, 0.4))
    write_fold(1, 1, "bd", (0.6, 0.8))
    run_folders("espcn_mse_adam", [0.1] * 4)
    (comparison,) = find_comparisons(write_fold.root).comparisons
    assert names(comparison.runs) == ["espcn_mse_adam", "vdsr_mse_adam (folds 0, 1)"]


def test_runs_that_repeat_a_fold_stay_apart(write_fold: FoldWriter) -> None:
    write_fold(0, 0, "ac", (0.2, 0.4))
    write_fold(1, 1, "bd", (0.6, 0.8))
    write_fold(2, 1, "bd", (0.7, 0.9))
    comparisons = find_comparisons(write_fold.root).comparisons
    assert sorted(name for comparison in comparisons for name in names(comparison.runs)) == [
        "vdsr_mse_adam_0",
        "vdsr_mse_adam_1",
        "vdsr_mse_adam_2",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"optimizer": {"lr": 1.0}}},
        {"settings": config(1, shrink=4)},
        {"settings": config(1, folds=3)},
        {"loss": "vgg"},
        {"settings": {"data": {"fold": 1, "folds": None, "shrink": 2}}},
    ],
)
def test_folds_of_different_trainings_stay_apart(write_fold: FoldWriter, change: dict[str, Any]) -> None:
    write_fold(0, 0, "ac", (0.2, 0.4))
    write_fold(1, 1, "bd", (0.6, 0.8), **change)
    comparisons = find_comparisons(write_fold.root).comparisons
    assert [names(comparison.runs) for comparison in comparisons] == [["vdsr_mse_adam_0"], ["vdsr_mse_adam_1"]]


def test_folds_in_different_folders_stay_apart(run_folders: RunFolders) -> None:
    run_folders("a/vdsr_mse_adam", [0.1], names="a", folds=None, config=config(0))
    run_folders("b/vdsr_mse_adam", [0.1], names="b", folds=None, config=config(1))
    assert len(find_comparisons(run_folders.root).comparisons) == 2
