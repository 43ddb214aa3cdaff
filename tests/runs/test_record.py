import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr.errors import DivergedError, PrunedError, UserError
from sr.io.locks import hold
from sr.io.run_folder import RunFolder
from sr.runs.announce import announce, described_in_trackers, log_final_scores
from sr.runs.finished import is_complete
from sr.runs.migration import with_added_options
from sr.runs.objectives import check_objectives, objective
from sr.runs.record import clear, earlier_run, held_folder, status_of
from sr.runs.schema import Process, RunResult, Status, TrainingResult, write_result
from sr.runs.scores import MeanSd, Scores
from sr.terms import DataSummary, Part
from sr.trackers.tensorboard import TensorBoardTracker


def config(folder: Path, **options: object) -> dict[str, Any]:
    values = {"run_dir": str(folder), "retrain": False, "seed": 1, "data": {"folds": None, "fold": 0}, **options}
    return with_added_options(values)


def make_run(folder: Path, status: Status, *, checkpoints: bool = False, **fields: Any) -> RunFolder:
    """A run folder with a result and, on request, a checkpoint."""
    files = RunFolder(folder)
    files.checkpoints.mkdir(parents=True)
    write_result(folder, RunResult(status, config(folder), **fields))
    if checkpoints:
        files.last.write_bytes(b"weights")
    return files


def test_a_folder_without_a_run_is_a_fresh_start(tmp_path: Path) -> None:
    assert earlier_run(tmp_path, config(tmp_path)) is None


@pytest.mark.parametrize("status", [Status.DONE, Status.INTERRUPTED, Status.RUNNING, Status.FAILED])
def test_the_same_run_is_returned_whatever_its_status(tmp_path: Path, status: Status) -> None:
    make_run(tmp_path / "run", status, checkpoints=True, steps=7)
    earlier = earlier_run(tmp_path / "run", config(tmp_path / "run"))
    assert earlier is not None
    assert (earlier.status, earlier.steps) == (status, 7)


@pytest.mark.parametrize(
    ("status", "checkpoints", "is_refused"),
    [
        (Status.DONE, False, True),
        (Status.INTERRUPTED, True, True),
        (Status.RUNNING, True, True),
        (Status.FAILED, True, True),
        (Status.FAILED, False, False),
        (Status.INTERRUPTED, False, False),
    ],
)
def test_another_run_is_refused_if_anything_could_be_lost(
    tmp_path: Path, status: Status, checkpoints: bool, is_refused: bool
) -> None:
    folder = tmp_path / "run"
    make_run(folder, status, checkpoints=checkpoints)
    other = config(folder, seed=2, scale=3)
    if not is_refused:
        assert earlier_run(folder, other) is None
        return
    with pytest.raises(UserError, match=r"another config, scale: absent there, 3 here \(and 1 more\)"):
        earlier_run(folder, other)


def test_another_run_is_refused_over_checkpoints_of_folds(tmp_path: Path) -> None:
    files = make_run(tmp_path / "run", Status.INTERRUPTED)
    files.fold(1).checkpoints.mkdir(parents=True)
    files.fold(1).last.write_bytes(b"weights")
    with pytest.raises(UserError, match="another config"):
        earlier_run(files.path, config(files.path, seed=2))


def test_checkpoints_without_a_result_are_not_overwritten(tmp_path: Path) -> None:
    files = make_run(tmp_path / "run", Status.INTERRUPTED, checkpoints=True)
    files.result.unlink()
    with pytest.raises(UserError, match=r"holds checkpoints of a run without result\.json"):
        earlier_run(files.path, config(files.path))


def test_retraining_is_never_refused_and_deletes_nothing_before_it_starts(tmp_path: Path) -> None:
    files = make_run(tmp_path / "run", Status.DONE, checkpoints=True)
    assert earlier_run(files.path, config(files.path, retrain=True, seed=9)) is None
    assert files.result.is_file()
    assert files.last.is_file()


def test_only_rank_0_deletes_files_and_only_those_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_run(tmp_path / "run", Status.DONE, checkpoints=True)
    kept = [files.path / "notes.txt", files.evaluations / "set5.txt"]
    files.evaluations.mkdir()
    of_training = (files.metrics, files.images, files.split, files.samples, files.path / "events.out.tfevents.1")
    for path in (*kept, *of_training, files.evaluations / "set5.json"):
        path.write_text("x")
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    clear(files.path)
    assert files.result.is_file()
    monkeypatch.setattr(rank_zero_only, "rank", 0)
    clear(files.path)
    assert sorted(path for path in files.path.rglob("*") if path.is_file()) == sorted(kept)


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    files = make_run(tmp_path / "run", Status.RUNNING, started="noon", process=Process("host", 42))
    expect_refusal = pytest.raises(UserError, match="process 42 on host has trained this run since noon")
    with hold(files.lock), expect_refusal, held_folder(files.path):
        raise AssertionError("the lock was acquired twice")
    with held_folder(files.path), hold(files.lock, 0) as acquired:
        assert not acquired
    with hold(files.lock, 0) as acquired:
        assert acquired


def test_a_full_disk_is_a_user_error_and_other_os_errors_are_unchanged(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the disk is full: free some space"), held_folder(tmp_path / "run"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(PermissionError), held_folder(tmp_path / "run"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_temporary_files_of_killed_processes_are_removed(tmp_path: Path) -> None:
    files = make_run(tmp_path / "run", Status.INTERRUPTED, checkpoints=True)
    temporary_files = [files.path / ".result.json.7.tmp", files.checkpoints / ".last.ckpt.7.tmp"]
    for path in temporary_files:
        path.write_text("half")
    with held_folder(files.path):
        assert not any(path.exists() for path in temporary_files)
        assert files.last.is_file()


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (DivergedError("the loss\n is not finite"), Status.DIVERGED, "the loss is not finite"),
        (PrunedError("pruned after epoch 2"), Status.PRUNED, "pruned after epoch 2"),
        (KeyboardInterrupt(), Status.INTERRUPTED, "Ctrl-C"),
        (SIGTERMException(), Status.INTERRUPTED, "SIGTERM"),
        (SystemExit(1), Status.INTERRUPTED, "Ctrl-C"),
        (UserError("raise data.patch"), Status.FAILED, "raise data.patch"),
        (ZeroDivisionError("division\nby zero"), Status.FAILED, "ZeroDivisionError: division by zero"),
    ],
)
def test_the_reason_a_run_ended_is_one_line(error: BaseException, status: Status, reason: str) -> None:
    assert status_of(error) == (status, reason)


def test_the_reason_is_that_of_a_wrapped_user_error() -> None:
    error = RuntimeError("wrapped")
    error.__cause__ = UserError("model.channels is odd")
    assert status_of(error) == (Status.FAILED, "model.channels is odd")


@pytest.mark.parametrize(
    ("status", "scored", "test", "expected"),
    [
        (Status.DONE, {Part.VAL}, False, True),
        (Status.DONE, {Part.VAL}, True, False),
        (Status.DONE, {Part.VAL, Part.TEST}, True, True),
        (Status.INTERRUPTED, {Part.VAL, Part.TEST}, True, False),
        (Status.INTERRUPTED, {Part.VAL}, False, False),
    ],
)
def test_a_run_is_complete_once_it_is_done_and_tested_if_requested(
    status: Status, scored: set[Part], test: bool, expected: bool
) -> None:
    data = DataSummary("abc", {Part.TRAIN: 5, Part.VAL: 1, Part.TEST: 2})
    result = RunResult(status, {}, data=data, scores={part: {} for part in scored})
    assert is_complete(result, test=test) is expected


def test_requesting_test_scores_of_a_finished_run_without_test_images_is_refused() -> None:
    result = RunResult(Status.DONE, {}, data=DataSummary("abc", {Part.TRAIN: 5, Part.VAL: 1, Part.TEST: 0}))
    assert is_complete(result, test=False)
    with pytest.raises(UserError, match="held no test images out"):
        is_complete(result, test=True)


def scores_of(gain: float, sd: float | None = None) -> Scores:
    return {"psnr": MeanSd(30.0 + gain, sd), "input_psnr": MeanSd(30.0, sd), "gain": MeanSd(gain, sd)}


@pytest.mark.parametrize(("gain", "warns"), [(0.5, False), (0.004, True), (-1.0, True)])
def test_a_run_that_does_not_beat_its_input_ends_with_a_warning(
    caplog: pytest.LogCaptureFixture, gain: float, warns: bool
) -> None:
    result = RunResult(Status.DONE, {}, loss="mse", scores={Part.VAL: scores_of(gain)})
    with caplog.at_level(logging.INFO):
        announce(result, Path("runs/a"))
    assert f"val/psnr {30 + gain:.2f} dB, input 30.00, gain {gain:+.2f}  (mse)" in caplog.text
    assert ("does not beat its input" in caplog.text) is warns
    assert caplog.messages[-1] == f"run folder: {Path('runs/a')}"


@pytest.mark.parametrize(
    ("seeds", "fold", "words"),
    [(None, "all", "3 folds"), ([1, 2], 0, "2 seeds"), ([1, 2], "all", "2 seeds of 3 folds")],
)
def test_seeds_and_folds_are_announced_with_sd_and_with_a_warning_if_they_lose_to_the_input(
    caplog: pytest.LogCaptureFixture, seeds: list[int] | None, fold: int | str, words: str
) -> None:
    scores = {Part.VAL: scores_of(-0.5, 0.25)}
    config = {"seeds": seeds, "data": {"folds": 3, "fold": fold}}
    trainings = [TrainingResult(1, None, scores, 1.0)]
    result = RunResult(Status.DONE, config, loss="mae", scores=scores, trainings=trainings)
    with caplog.at_level(logging.INFO):
        announce(result, Path("a"))
    expected = f"val/psnr 29.50 +- 0.25 dB over {words}, input 30.00, gain -0.50 +- 0.25  (mae)"
    assert caplog.messages[0] == expected
    assert "does not beat its input" in caplog.messages[1]


def test_a_run_that_beats_its_input_but_not_lanczos_ends_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    scores = {Part.VAL: scores_of(0.2) | {"lanczos_psnr": MeanSd(30.3), "nearest_psnr": MeanSd(28.0)}}
    announce(RunResult(Status.DONE, {}, scores=scores), Path("a"))
    assert "WARNING: this model does not beat Lanczos on the val images" in caplog.text


def test_a_run_that_was_never_validated_says_so(caplog: pytest.LogCaptureFixture) -> None:
    without_scores: list[dict[Part, Scores]] = [{}, {Part.VAL: {}}]
    for scores in without_scores:
        caplog.clear()
        announce(RunResult(Status.DONE, {}, scores=scores), Path("a"))
        assert caplog.messages[0] == "no val scores: the run was never validated"


def test_objectives_are_mean_scores_and_costs() -> None:
    scores = {Part.VAL: {"psnr": MeanSd(30.0, 1.0)}, Part.TEST: {"ssim": MeanSd(0.9)}}
    result = RunResult(Status.DONE, {}, scores=scores, ms_per_image=2.5, parameters=7, train_seconds=3.0)
    names = ["val/psnr", "test/ssim", "ms_per_image", "parameters", "train_seconds"]
    assert [objective(result, name) for name in names] == [30.0, 0.9, 2.5, 7.0, 3.0]
    with pytest.raises(UserError, match=r"no 'val/ssim' in a result: use val/psnr, test/ssim, ms_per_image, param"):
        objective(result, "val/ssim")
    result.ms_per_image = None
    with pytest.raises(UserError, match="no 'ms_per_image'"):
        objective(result, "ms_per_image")


def test_objectives_of_every_score_of_a_result_are_accepted() -> None:
    metrics = ["psnr", "ssim", "vif"]
    names = ["val/psnr", "val/vif", "val/gain", "val/input_psnr", "val/lanczos_ssim", "ms_per_image"]
    check_objectives([*names, "test/gain"], metrics, test=True)
    for name in ("test/gain", "val/loss", "train/psnr", "psnr", "val/lpips", "val/ms_ssim", "val/other_psnr"):
        with pytest.raises(UserError, match=f"objectives: no {name!r} in a result: use val/psnr, val/ssim, val/vif"):
            check_objectives([*names, name], metrics, test=False)


def test_tensorboard_shows_the_settings_of_a_run_beside_its_final_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = RunResult(
        Status.DONE,
        {
            **{"seed": 5, "run_dir": "/runs/a", "monitor": "val/psnr", "trainer": {"max_epochs": 3, "threads": 2}},
            **{"model": {"_target_": "sr.nets.VDSR", "channels": 8, "head": None}, "optimizer": {"lr": 0.1}},
            "data": {"root": "/images", "patch": 48, "degrade": {"_target_": "Jpeg", "quality": [20, 60]}},
        },
        {"model": "vdsr", "experiment": None},
        loss="2 mse + mae",
        scale=3,
        steps=7,
        scores={Part.VAL: {"psnr": MeanSd(31.0, 1.0)}, Part.TEST: {"psnr": MeanSd(29.0, 1.0)}},
    )
    written: dict[str, object] = {}
    monkeypatch.setattr(
        "torch.utils.tensorboard.summary.hparams", lambda settings, scores: written.update(settings, **scores) or []
    )
    loggers = [CSVLogger(tmp_path), TensorBoardTracker(str(tmp_path))]
    with described_in_trackers(loggers, result):
        log_final_scores(loggers, result)
    assert written == {
        **{"model": "vdsr", "experiment": "", "loss": "2 mse + mae", "seed": 5, "scale": 3},
        **{"model.channels": 8, "optimizer.lr": 0.1, "init": "", "trainer.max_epochs": 3, "data.patch": 48},
        **{"data.degrade.quality": "[20, 60]", "final/psnr": 31.0, "final/test_psnr": 29.0},
    }
    (score,) = EventAccumulator(str(tmp_path)).Reload().Scalars("final/psnr")
    assert (score.step, score.value) == (7, 31.0)
