from pathlib import Path
from typing import Any

import pytest

from sr.errors import UserError
from sr.report.comparison import Comparison, find_comparisons
from sr.terms import Protocol
from tests.support.run_folders import RunFolders, config, data


def names(comparison: Comparison) -> list[str]:
    return [run.name for run in comparison.runs]


def test_the_title_states_what_all_runs_have_in_common(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    run_folders("espcn_mae_adam", [0.1], protocol=Protocol.Y, scale=3)
    run_folders("espcn_vgg_adam", [0.1] * 4, groups=["p", "p", "q", "q"], scale=2)
    titles = [comparison.title for comparison in find_comparisons([run_folders.root]).comparisons]
    assert sorted(titles) == [
        "1 image, scale 3, protocol y, data 01234567",
        "4 images of 2 photographs, scale 2, protocol rgb, data 01234567",
        "4 images, scale 1, protocol rgb, data 01234567",
    ]


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
    contents = find_comparisons([run_folders.root])
    assert [names(comparison) for comparison in contents.comparisons] == [
        ["vdsr_mse_adam", "vdsr_mse_sgd"],
        ["espcn_mse_adam"],
    ]
    assert not contents.problems


def test_shrink_matters_at_scale_1_only(run_folders: RunFolders) -> None:
    run_folders("vdsr_mse_adam", [0.1] * 4, scale=2)
    run_folders("vdsr_mse_sgd", [0.2] * 4, scale=2, config=config(shrink=4))
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    assert comparison.shrink is None
    assert len(comparison.configurations) == 2


def test_runs_on_other_images_of_the_same_data_are_not_mixed(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.1] * 4)
    run_folders("vdsr_mse_adam", [0.1] * 3, folds=(0, 0, 1))
    assert len(find_comparisons([run_folders.root]).comparisons) == 2


def test_runs_that_scored_the_same_input_otherwise_have_a_table_of_their_own(run_folders: RunFolders) -> None:
    """As earlier versions scored gray files by their luma, and 1.3 dB higher."""
    for model in ("espcn", "vdsr", "edsr"):
        folder = run_folders(f"{model}_mse_adam", [0.5] * 4, folds=None)
    images = folder / "images.csv"
    images.write_text(images.read_text().replace("26.0,", "27.32,"))
    contents = find_comparisons([run_folders.root])
    assert [[entry.name for entry in one.configurations] for one in contents.comparisons] == [
        ["espcn", "vdsr"],
        ["edsr, mse, adam"],
    ]
    (line,) = contents.repeats
    assert line.startswith("edsr_mse_adam: the same input has other scores than in espcn_mse_adam")


def test_seeds_are_joined_wherever_they_lie(run_folders: RunFolders) -> None:
    run_folders("a/vdsr_mse_adam", [0.1] * 4, seed=1)
    run_folders("b/vdsr_mse_adam", [0.3] * 4, seed=2)
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    (configuration,) = comparison.configurations
    assert [run.name for run in configuration.runs] == ["a/vdsr_mse_adam", "b/vdsr_mse_adam"]
    assert configuration.mean_of_image("a", "gain") == pytest.approx(0.2)


def test_several_folders_are_compared(run_folders: RunFolders) -> None:
    first = run_folders("one/vdsr_mse_adam", [0.1] * 4)
    second = run_folders("two/espcn_mse_adam", [0.3] * 4)
    run_folders("three/edsr_mse_adam", [0.3] * 4)
    (comparison,) = find_comparisons([first.parent, second]).comparisons
    assert names(comparison) == [f"{first.parent}/vdsr_mse_adam", f"{second}/espcn_mse_adam"]
    with pytest.raises(UserError, match="no such folder"):
        find_comparisons([first, run_folders.root / "four"])


def test_folders_within_others_are_read_once(run_folders: RunFolders) -> None:
    first = run_folders("one/vdsr_mse_adam", [0.1] * 4)
    contents = find_comparisons([run_folders.root, first.parent, run_folders.root, first])
    assert (len(contents.comparisons[0].runs), contents.repeats) == (1, [])


class FoldWriter:
    """Writes the folds of one training as separate runs."""

    def __init__(self, run_folders: RunFolders) -> None:
        self.run_folders = run_folders
        self.root = run_folders.root

    def __call__(self, number: int, fold: int, images: str, gains: tuple[float, float], **changes: Any) -> Path:
        settings = config(fold) | {"run_dir": f"runs/{number}", "callbacks": {"search": {"fold": fold}}}
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
            started=f"2026-01-0{number + 1}",
            **changes,
        )


@pytest.fixture
def write_fold(run_folders: RunFolders) -> FoldWriter:
    return FoldWriter(run_folders)


def test_folds_trained_as_separate_runs_are_joined(write_fold: FoldWriter) -> None:
    # The last fold is written first, and the images of the two folds alternate.
    fold_1 = write_fold(0, 1, "bd", (0.6, 0.8))
    fold_0 = write_fold(1, 0, "ac", (0.2, 0.4))
    (comparison,) = find_comparisons([write_fold.root]).comparisons
    (joined,) = comparison.runs
    assert joined.name == "vdsr_mse_adam (folds 0, 1)"
    assert joined.folders == (fold_0, fold_1)
    assert {name: scores["gain"] for name, scores in joined.images.items()} == {"a": 0.2, "b": 0.6, "c": 0.4, "d": 0.8}
    assert dict(joined.folds) == {"a": 0, "b": 1, "c": 0, "d": 1}
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
    (comparison,) = find_comparisons([write_fold.root]).comparisons
    assert names(comparison) == ["espcn_mse_adam", "vdsr_mse_adam (folds 0, 1)"]


def test_of_a_fold_that_was_trained_twice_the_last_counts(write_fold: FoldWriter) -> None:
    write_fold(0, 0, "ac", (0.2, 0.4))
    write_fold(1, 1, "bd", (0.6, 0.8))
    write_fold(2, 1, "bd", (0.7, 0.9))
    contents = find_comparisons([write_fold.root])
    (run,) = contents.comparisons[0].runs
    assert run.images["b"]["gain"] == 0.7
    assert contents.repeats == ["vdsr_mse_adam_1: left out, vdsr_mse_adam_2 is the same training with the same seed"]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"optimizer": {"lr": 1.0}}},
        {"settings": {"callbacks": {"ema": {"decay": 0.999}}}},
        {"settings": config(1, shrink=4)},
        {"settings": config(1, folds=3)},
        {"settings": {"seed": 24}},
        {"loss": "vgg"},
        {"data": data(2, fingerprint="other")},
        {"settings": {"data": {"fold": 1, "folds": None, "shrink": 2}}},
    ],
)
def test_folds_of_different_trainings_stay_apart(write_fold: FoldWriter, change: dict[str, Any]) -> None:
    write_fold(0, 0, "ac", (0.2, 0.4))
    write_fold(1, 1, "bd", (0.6, 0.8), **change)
    runs = [run for comparison in find_comparisons([write_fold.root]).comparisons for run in comparison.runs]
    assert [run.name for run in runs] == ["vdsr_mse_adam_0", "vdsr_mse_adam_1"]
