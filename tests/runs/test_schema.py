import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sr.errors import UserError
from sr.runs.migration import SCHEMA, with_added_options
from sr.runs.schema import Monitor, Process, RunResult, Status, TrainingResult, read_result, write_result
from sr.runs.scores import MeanSd, baseline_psnrs, mean_and_sd, over_images, over_trainings
from sr.terms import DataSummary, Measurement, Part, Protocol, Speed

CONFIG = with_added_options({"data": {"folds": None, "fold": 0}, "scale": 2, "seed": 1})


def finished_result() -> RunResult:
    scores = {Part.VAL: {"psnr": MeanSd(30.0, 1.0), "gain": MeanSd(0.5)}}
    return RunResult(
        Status.DONE,
        CONFIG,
        {"model": "espcn", "experiment": None},
        command="python -m sr.train",
        process=Process("host", 7),
        versions={"torch": "2.13.0"},
        machine={"processor": "one", "threads": 2},
        scale=2,
        protocol=Protocol.Y,
        data=DataSummary("abc", {Part.TRAIN: 7, Part.VAL: 1, Part.TEST: 2}, [["a", "b"]]),
        monitor=Monitor("val/psnr", 30.0),
        scores=scores,
        trainings=[TrainingResult(1, 0, scores, 12.5)],
        speed=Speed(Measurement(8.5, 8.0, 9.0, 20), Measurement(120.0, 110.0, 130.0, 40), 4, False, "a reason"),
    )


def test_a_result_survives_writing_and_reading(tmp_path: Path) -> None:
    write_result(tmp_path, finished_result())
    assert read_result(tmp_path) == finished_result()
    assert json.loads((tmp_path / "result.json").read_text())["schema"] == SCHEMA == 3
    assert read_result(tmp_path / "none") is None


def test_a_record_of_before_speeds_had_intervals_keeps_its_milliseconds(tmp_path: Path) -> None:
    write_result(tmp_path, finished_result())
    content = json.loads((tmp_path / "result.json").read_text())
    assert content["speed"]["latency_ms"] == {"median": 8.5, "low": 8.0, "high": 9.0, "repeats": 20}
    del content["speed"]
    (tmp_path / "result.json").write_text(json.dumps({**content, "ms_per_image": 12.5}))
    result = read_result(tmp_path)
    assert result is not None
    assert (result.speed, result.ms_per_image) == (None, 12.5)


def test_nan_and_infinity_are_written_as_null_and_a_null_mean_is_read_as_nan(tmp_path: Path) -> None:
    result = finished_result()
    result.scores = {Part.VAL: {"psnr": MeanSd(math.nan, math.inf)}}
    result.monitor = Monitor("val/psnr", math.nan)
    write_result(tmp_path, result)
    json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    loaded = read_result(tmp_path)
    assert loaded is not None
    assert loaded.monitor == Monitor("val/psnr", None)
    assert math.isnan(loaded.scores[Part.VAL]["psnr"].mean)
    assert loaded.scores[Part.VAL]["psnr"].sd is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"status": ', r"result\.json: is damaged"),
        ("[]", r"result\.json: is not the record of a run"),
        ('{"status": "done"}', r"is not the record of a run"),
        ('{"status": "perhaps", "config": {}}', r"is not the record of a run .*perhaps"),
        (
            '{"status": "failed", "config": {"data": {}}, "steps": "many"}',
            r"Expected `int`, got `str` - at `\$\.steps`",
        ),
        ('{"schema": 4, "status": {}}', r"was written by a newer version of sr"),
    ],
)
def test_an_invalid_result_is_refused_in_one_line_that_names_the_file(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(UserError, match=message) as error:
        read_result(tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path / "result.json") in str(error.value)


def test_a_result_of_schema_1_is_migrated(tmp_path: Path) -> None:
    earlier = {
        "status": "interrupted",
        "reason": "Ctrl-C",
        "process": {"host": "h", "id": 3},
        "config": {
            "scale": 3,
            "data": {"augment": {"_target_": "sr.batches.Augment"}, "find": {"_target_": "sr.sources.isr_folders"}},
            "callbacks": {
                "checkpoints": {"_target_": "sr.callbacks.safety.RunCheckpoints"},
                "random": {"_target_": "sr.callbacks.safety.RandomStates"},
                "divergence": {"_target_": "sr.callbacks.safety.DivergenceGuard"},
                "images": {"_target_": "sr.callbacks.tables.ImageScores"},
            },
            "model": {"_target_": "sr.nets.espcn.ESPCN"},
        },
        "choices": {"model": "espcn", "experiment": None},
        "command": None,
        "git_commit": None,
        "machine": {"processor": "p", "threads": 2},
        "seconds": 3,
        "scores": {"val": {"psnr": {"mean": None, "sd": 0.0}}},
    }
    (tmp_path / "result.json").write_text(json.dumps(earlier))
    result = read_result(tmp_path)
    assert result is not None
    assert (result.status, result.scale, result.seconds) == (Status.INTERRUPTED, 3, 3.0)
    assert result.config["data"]["augment"]["_target_"] == "sr.data.batches.Augment"
    assert result.config["data"]["find"]["_target_"] == "sr.data.sources.isr_folders"
    targets = {name: callback["_target_"] for name, callback in result.config["callbacks"].items()}
    assert targets == {
        "checkpoints": "sr.callbacks.checkpoints.RunCheckpoints",
        "random": "sr.callbacks.random_states.RandomStates",
        "divergence": "sr.callbacks.divergence.DivergenceGuard",
        "images": "sr.callbacks.tables.ImageScores",
    }
    assert result.config["model"]["_target_"] == "sr.nets.espcn.ESPCN"
    assert (result.config["init"], result.config["init_strict"], result.config["init_freeze"]) == (None, False, None)
    assert (result.initial, result.images_seen, result.total_steps) == (None, 0, 0)
    assert math.isnan(result.scores[Part.VAL]["psnr"].mean)


def test_a_result_of_schema_2_split_by_its_seed_and_its_folds_are_trainings(tmp_path: Path) -> None:
    scores = {"val": {"psnr": {"mean": None, "sd": None}}}
    config = {"seed": 5, "data": {"seed": 5, "folds": 2, "fold": "all"}}
    earlier = {"schema": 2, "status": "done", "config": config, "folds": [{"scores": scores, "seconds": 2.0}] * 2}
    (tmp_path / "result.json").write_text(json.dumps(earlier))
    result = read_result(tmp_path)
    assert result is not None
    assert (result.config["data"]["split_seed"], result.config["seeds"], result.schema) == (5, None, SCHEMA)
    assert [(training.seed, training.fold, training.seconds) for training in result.trainings] == [(5, 0, 2), (5, 1, 2)]
    assert math.isnan(result.trainings[1].scores[Part.VAL]["psnr"].mean)


@pytest.mark.parametrize(
    ("seeds", "fold", "count"), [(None, 0, None), (None, "all", 5), ([7, 8], 0, 2), ([7, 8], "all", 10), ([7], 0, 1)]
)
def test_a_result_knows_how_many_trainings_it_has(seeds: list[int] | None, fold: int | str, count: int | None) -> None:
    result = RunResult(Status.DONE, {"seeds": seeds, "data": {"folds": 5, "fold": fold}})
    assert (result.seeds, result.training_count) == (seeds or [], count)


@pytest.mark.parametrize(
    ("data", "fold", "count"),
    [
        ({"folds": None, "fold": 0}, None, None),
        ({"folds": 5, "fold": 0}, 0, None),
        ({"folds": 5, "fold": 3}, 3, None),
        ({"folds": 5, "fold": "all"}, None, 5),
    ],
)
def test_a_result_knows_which_folds_it_trains(data: dict[str, Any], fold: int | None, count: int | None) -> None:
    result = RunResult(Status.DONE, {"data": data})
    assert (result.fold, result.fold_count) == (fold, count)


def test_the_sd_is_that_of_a_sample_and_a_single_value_has_none() -> None:
    assert mean_and_sd([30.0, 34.0]) == MeanSd(32.0, 8**0.5)
    assert mean_and_sd([30.0]) == MeanSd(30.0, None)


def test_image_scores_are_averaged_and_names_and_epochs_are_left_out() -> None:
    rows = [{"name": "a", "psnr": 30.0, "ssim": 0.5, "epoch": 1}, {"name": "b", "psnr": 34.0, "ssim": 0.5, "epoch": 1}]
    assert over_images(rows) == {"psnr": MeanSd(32.0, 8**0.5), "ssim": MeanSd(0.5, 0.0)}
    assert over_images(rows[:1]) == {"psnr": MeanSd(30.0), "ssim": MeanSd(0.5)}
    assert over_images([]) == {}


def test_fold_means_are_averaged_whatever_the_number_of_images() -> None:
    folds = [{"psnr": MeanSd(30.0, 5.0), "ssim": MeanSd(0.5)}, {"psnr": MeanSd(32.0, 1.0)}]
    assert over_trainings(folds) == {"psnr": MeanSd(31.0, 2**0.5)}


def test_a_run_that_has_not_trained_has_spent_nothing() -> None:
    result = RunResult(Status.RUNNING, CONFIG)
    spent = [getattr(result, field.name) for field in fields(result) if field.type in ("int", "float", int, float)]
    assert len(spent) == 13
    assert sum(spent) == result.scale + result.schema == 1 + SCHEMA


def test_an_earlier_result_without_a_scale_is_of_scale_1(tmp_path: Path) -> None:
    earlier = {"status": "failed", "config": {"data": {}}}
    (tmp_path / "result.json").write_text(json.dumps(earlier))
    result = read_result(tmp_path)
    assert result is not None
    assert result.scale == 1


def test_baselines_are_found_among_the_scores() -> None:
    scores = {"psnr": MeanSd(30.0), "input_psnr": MeanSd(29.0), "lanczos_psnr": MeanSd(29.5), "lanczos_ssim": MeanSd(1)}
    assert baseline_psnrs(scores) == {"input": 29.0, "lanczos": 29.5}
