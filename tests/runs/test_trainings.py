import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from sr.errors import DivergedError, UserError
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.runs import trainings
from sr.runs.fit import Member
from sr.runs.schema import Monitor, Status, read_result
from sr.runs.scores import over_trainings_by_epoch
from sr.terms import Measurement, Part, Speed
from tests.support.run_folders import RunFolders
from tests.support.runs import Command, Compose, MakeFolder, result_of

SETTINGS = ("data=isr", "data.folds=3", "data.fold=all", "trainer.max_epochs=2")


def test_mean_and_sd_are_taken_over_the_folds_that_have_an_epoch() -> None:
    first = [{"epoch": "0", "val/psnr": "30", "seconds": "1"}, {"epoch": "1", "val/psnr": "31", "seconds": ""}]
    second = [{"epoch": "0", "val/psnr": "33", "seconds": "3"}]
    assert over_trainings_by_epoch([first, second]) == [
        {
            "epoch": 0,
            "trainings": 2,
            "val/psnr": 31.5,
            "val/psnr_sd": pytest.approx(4.5**0.5),
            "seconds": 2.0,
            "seconds_sd": pytest.approx(2**0.5),
        },
        {"epoch": 1, "trainings": 1, "val/psnr": 31.0},
    ]


def test_the_deviation_over_folds_is_that_of_trainings_not_of_the_images_of_folds() -> None:
    hard = [{"epoch": "0", "val/psnr": "26.0", "val/input_psnr": "25.0", "val/gain": "1.0"}]
    easy = [{"epoch": "0", "val/psnr": "36.2", "val/input_psnr": "35.0", "val/gain": "1.2"}]
    (row,) = over_trainings_by_epoch([hard, easy])
    assert row["val/psnr_sd"] == pytest.approx(row["val/gain_sd"]) == pytest.approx(0.02**0.5)
    assert "val/input_psnr_sd" not in row
    hard = [{"epoch": "0", "train/psnr": "26.0", "train/ssim": "0.8", "train/gain": "1.0"}]
    easy = [{"epoch": "0", "train/psnr": "36.2", "train/ssim": "0.9", "train/gain": "1.2"}]
    (row,) = over_trainings_by_epoch([hard, easy])
    assert row["train/psnr_sd"] == row["train/gain_sd"] == pytest.approx(0.02**0.5)
    assert "train/ssim_sd" not in row


def speed_of(milliseconds: float) -> Speed:
    """A speed of this latency."""
    latency = Measurement(milliseconds, milliseconds, milliseconds, 20)
    return Speed(latency, Measurement(100.0, 100.0, 100.0, 20), 1, quiet=True)


class FakeFit:
    """Stands in for a training: writes a result and tables, better by 1 dB a seed, and remembers its configs."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at, self.configs, self.changes = fails_at, [], []  # type: ignore[var-annotated]

    def __call__(self, config: DictConfig, member: Member) -> float:
        member.on_start()
        self.configs.append(config)
        self.changes.append(dict(member.changes))
        fold = int(config.data.fold)
        if fold == self.fails_at:
            raise DivergedError("the loss is not finite at step 7")
        folder = Path(config.run_dir)
        better = config.seed % 1000 - 23
        gains, names = [0.1 + fold + better, 0.3 + fold + better], ["ab", "cd"][fold]
        RunFolders(folder.parent)(
            f"espcn_mse_adam{fold}",
            gains,
            names=names,
            folds=None,
            seconds=10.0 + fold,
            train_seconds=5.0 + fold,
            images_per_second=100.0 + 10 * fold,
            wait_share=0.1 * (fold + 1),
            ms_per_image=None if fold else 8.0,
            speed=None if fold else speed_of(8.0),
            peak_memory_bytes=1000 - fold,
            monitor=Monitor("val/psnr", 30.0 + fold + better),
            config=OmegaConf.to_container(config, resolve=True),
        ).rename(folder)
        return 30.0 + fold


TWO_FOLDS = ["data.folds=2", "data.fold=all"]


def test_folds_are_merged_into_one_result_and_one_set_of_tables(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_fit = FakeFit()
    monkeypatch.setattr(trainings, "fit", fake_fit)
    config = compose_config(TWO_FOLDS)
    assert trainings.run(config) == 30.5
    folder = Path(config.run_dir)
    result = read_result(folder)
    assert result
    assert (result.status, result.reason) == (Status.DONE, "")
    assert (result.seconds, result.train_seconds) == (21.0, 11.0)
    assert 0 < result.elapsed_seconds < 600
    assert result.images_per_second == 105.0
    assert result.wait_share == pytest.approx(0.15)
    assert (result.ms_per_image, result.speed) == (8.0, speed_of(8.0))  # the other fold was not timed
    assert result.peak_memory_bytes == 1000
    assert result.monitor == Monitor("val/psnr", 30.5)
    assert (result.epochs, result.steps, result.parameters, result.loss) == (2, 100, 24_195, "mse")
    assert [training.seconds for training in result.trainings] == [10.0, 11.0]
    gains = [training.scores[Part.VAL]["gain"].mean for training in result.trainings]
    assert gains == pytest.approx([0.2, 1.2])
    assert result.scores[Part.VAL]["gain"].mean == pytest.approx(0.7)
    assert result.scores[Part.VAL]["gain"].sd == pytest.approx(0.5**0.5)
    rows = [(row["name"], row["fold"], float(row["gain"])) for row in read_table(folder / "images.csv")]
    assert rows == [("a", "0", 0.1), ("b", "0", 0.3), ("c", "1", 1.1), ("d", "1", 1.3)]
    assert [float(row["val/gain"]) for row in read_table(folder / "metrics.csv")] == pytest.approx([0.35, 0.7])


def test_each_fold_has_its_own_seed_and_folder_but_the_same_split(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_fit = FakeFit()
    monkeypatch.setattr(trainings, "fit", fake_fit)
    config = compose_config([*TWO_FOLDS, "seed=40"])
    trainings.run(config)
    assert [(config.seed, config.data.seed) for config in fake_fit.configs] == [(40, 40), (1040, 1040)]
    assert [config.data.split_seed for config in fake_fit.configs] == [23, 23]
    assert [Path(config.run_dir).name for config in fake_fit.configs] == ["fold_0", "fold_1"]
    assert fake_fit.changes[1] == {"data.fold": 1, "seed": 1040}


def test_a_diverged_fold_is_named_and_earlier_folds_are_kept(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "fit", FakeFit(fails_at=1))
    config = compose_config(TWO_FOLDS)
    with pytest.raises(DivergedError):
        trainings.run(config)
    result = read_result(Path(config.run_dir))
    assert result
    assert result.status is Status.DIVERGED
    assert result.reason == "fold 1: the loss is not finite at step 7"
    assert result.trainings == []
    assert read_result(Path(config.run_dir) / "fold_0")


def test_a_finished_cross_validation_is_not_repeated(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake_fit = FakeFit()
    monkeypatch.setattr(trainings, "fit", fake_fit)
    config = compose_config(TWO_FOLDS)
    trainings.run(config)
    caplog.set_level("INFO")
    assert trainings.run(config) == 30.5
    assert len(fake_fit.configs) == 2
    assert "done before" in caplog.text


def test_objectives_are_read_from_the_merged_result(compose_config: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainings, "fit", FakeFit())
    config = compose_config([*TWO_FOLDS, "objectives=[val/gain,parameters]"])
    assert trainings.run(config) == [pytest.approx(0.7), 24_195]


def test_seeds_of_folds_are_joined_as_means_of_means(compose_config: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_fit = FakeFit()
    monkeypatch.setattr(trainings, "fit", fake_fit)
    config = compose_config([*TWO_FOLDS, "seeds=2"])
    assert trainings.run(config) == 31.0
    assert [config.seed for config in fake_fit.configs] == [23, 1023, 24, 1024]
    assert [config.callbacks.search.trainings_before for config in fake_fit.configs] == [0, 1, 2, 3]
    assert fake_fit.changes[3] == {"seeds": None, "seed": 1024, "data.fold": 1}
    folder = RunFolder(Path(config.run_dir))
    assert [part.path.relative_to(folder.path).as_posix() for part in folder.trainings] == [
        *("seed_23/fold_0", "seed_23/fold_1", "seed_24/fold_0", "seed_24/fold_1")
    ]
    result, seed = read_result(folder.path), read_result(folder.seed(24).path)
    assert result
    assert seed
    for scores, mean in ((seed.scores, 1.7), (result.scores, 1.2)):  # the means of the seeds are 0.7 and 1.7
        gain = scores[Part.VAL]["gain"]
        assert [gain.mean, gain.sd] == pytest.approx([mean, 0.5**0.5])
    assert [(one.seed, one.fold) for one in result.trainings] == [(23, 0), (23, 1), (24, 0), (24, 1)]
    assert [one.seed for one in seed.trainings] == [24, 24]
    assert (result.seconds, result.training_count) == (42.0, 4)
    rows = [(row["name"], row["seed"], row["fold"]) for row in read_table(folder.images)]
    assert rows == [(name, seed, fold) for seed in ("23", "24") for name, fold in zip("abcd", "0011", strict=True)]
    assert list(read_table(folder.images)[0])[:4] == ["name", "group", "seed", "fold"]
    last = read_table(folder.metrics)[1]
    assert last["trainings"] == "4"
    assert [float(last[name]) for name in ("val/gain", "val/gain_sd")] == pytest.approx([1.2, 0.5**0.5])


def test_a_diverged_fold_of_a_seed_is_named_in_every_record(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "fit", FakeFit(fails_at=1))
    config = compose_config([*TWO_FOLDS, "seeds=2"])
    with pytest.raises(DivergedError):
        trainings.run(config)
    folder = RunFolder(Path(config.run_dir))
    records = [read_result(run.path) for run in (folder, folder.seed(23))]
    reason = "fold 1: the loss is not finite at step 7"
    assert [(record.status, record.reason) for record in records if record] == [
        (Status.DIVERGED, f"seed 23: {reason}"),
        (Status.DIVERGED, reason),
    ]


@pytest.mark.parametrize("count", [1, 0, "null"])
def test_cross_validation_needs_two_folds(compose_config: Compose, count: int | str) -> None:
    with pytest.raises(UserError, match=r"data\.fold"):
        trainings.run(compose_config([f"data.folds={count}", "data.fold=all"]))


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
    means = {
        name: [fold_result["scores"]["val"][name]["mean"] for fold_result in results]
        for name in ("psnr", "ssim", "gain", "input_psnr", "input_ssim")
    }
    deviations = {
        "psnr": statistics.stdev(means["gain"]),
        "ssim": statistics.stdev(
            [ssim - of_input for ssim, of_input in zip(means["ssim"], means["input_ssim"], strict=True)]
        ),
        "gain": statistics.stdev(means["gain"]),
    }
    for name, values in means.items():
        expected = {"mean": statistics.fmean(values), "sd": deviations.get(name)}
        assert result["scores"]["val"][name] == pytest.approx(expected)
    assert f"val/psnr {result['scores']['val']['psnr']['mean']:.2f} +- " in text

    images = read_table(folder / "images.csv")
    assert len(images) == len({row["name"] for row in images}) == 12
    assert {row["fold"] for row in images} == {"0", "1", "2"}
    epochs = read_table(folder / "metrics.csv")
    fold_rows = [read_table(fold_dir / "metrics.csv")[1] for fold_dir in fold_dirs]
    assert float(epochs[1]["val/psnr"]) == pytest.approx(statistics.fmean(float(row["val/psnr"]) for row in fold_rows))
    gains = [float(row["val/psnr"]) - float(row["val/input_psnr"]) for row in fold_rows]
    assert float(epochs[1]["val/psnr_sd"]) == pytest.approx(statistics.stdev(gains))

    weights = [torch.load(path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"] for path in fold_dirs]
    assert not torch.equal(weights[0]["net.body.0.weight"], weights[1]["net.body.0.weight"])
    assert [fold_result["config"]["seed"] for fold_result in results] == [23, 1023, 2023]
    assert {fold_result["config"]["data"]["split_seed"] for fold_result in results} == {23}


@pytest.mark.slow
def test_a_single_fold_reproduces_its_training_among_all_folds(
    command: Command,
    make_folder: MakeFolder,
    tmp_path: Path,
) -> None:
    root = make_folder(count=15)
    command(*SETTINGS, f"data.root={root}")
    line = result_of(tmp_path / "run" / "fold_1")["command"]
    assert line.endswith("data.fold=1 seed=1023")
    command("data=isr", "data.folds=3", "trainer.max_epochs=2", f"data.root={root}", *line.split()[-2:], folder="alone")
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
