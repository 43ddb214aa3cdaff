"""Edge cases of a run: test scores, no validation, errors in the user's own components."""

import logging
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sr.data.pairs import derive_lr
from sr.image import to_float
from sr.io.images import read_image
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.machine.speed import measure_speed
from sr.metrics import score
from sr.runs import fit
from sr.runs.schema import Status, read_result
from sr.terms import Part, Speed
from sr.weights.checkpoint import load_network
from tests.support.runs import Command, MakeFolder


def psnr_of(checkpoint: Path, image_path: Path) -> float:
    """PSNR of a checkpoint's network at x2 on an image, computed independently of any run."""
    hr = read_image(image_path)
    with torch.inference_mode():
        output = load_network(checkpoint)[0](to_float(derive_lr(hr, 2, 2))[None])
    return float(score(output, to_float(hr)[None])["psnr"])


def test_the_best_checkpoint_is_tested_rather_than_the_last(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=8)
    spoilt = ("trainer.max_epochs=3", "+callbacks.spoil={_target_: tests.support.parts.SpoilWeights, epoch: 2}")
    code, text = command("data=isr", f"data.root={root}", "scale=2", "test=true", *spoilt)
    assert code == 0, text
    files = RunFolder(tmp_path / "run")
    epochs = [float(row["val/psnr"]) for row in read_table(files.metrics)]
    assert epochs.index(max(epochs)) < 2
    for row in read_table(files.test_images):
        image_path = root / "high_res" / f"{row['name']}.png"
        assert float(row["psnr"]) == pytest.approx(psnr_of(files.best, image_path), abs=1e-3)
        assert float(row["psnr"]) != pytest.approx(psnr_of(files.last, image_path), abs=1e-2)
    result = read_result(files.path)
    assert result is not None
    assert result.mean(Part.TEST, "psnr") == pytest.approx(
        sum(float(row["psnr"]) for row in read_table(files.test_images)) / result.data.images[Part.TEST]  # type: ignore[union-attr]
    )


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (("trainer.max_epochs=2",), []),
        (("trainer.max_epochs=2", "+trainer.max_steps=3"), ["the last 1 of 3 steps were not scored"]),
        (
            ("trainer.max_epochs=1", "data.repeat=3", "+trainer.val_check_interval=4"),
            ["the last 2 of 6 steps were not scored"],
        ),
        (("trainer.max_epochs=3", "trainer.check_val_every_n_epoch=2"), ["the last 2 of 6 steps were not scored"]),
        (
            ("trainer.max_epochs=4", "+callbacks.end={_target_: tests.support.parts.EndAfter, epoch: 1}"),
            ["trained 2 of the 8 steps that the schedule of the learning rate is laid out for: it was broken off"],
        ),
    ],
    ids=["whole", "max_steps", "within an epoch", "every second epoch", "ended by a callback"],
)
def test_steps_that_were_not_trained_or_not_scored_are_said(
    options: tuple[str, ...], lines: list[str], command: Command, make_folder: MakeFolder
) -> None:
    code, text = command("data=isr", f"data.root={make_folder(count=10)}", "data.batch_size=4", *options)
    assert code == 0, text
    said = [line for line in text.splitlines() if "steps were not scored" in line or "broken off" in line]
    assert len(said) == len(lines)
    assert all(line.startswith(expected) for line, expected in zip(said, lines, strict=True))


def test_the_speed_of_a_run_is_that_of_the_form_in_which_its_network_is_used(
    command: Command, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[nn.Module] = []

    def measure(net: nn.Module, *settings: Any) -> Speed:
        measured.append(net)
        return measure_speed(nn.Identity(), 1, nullcontext)

    monkeypatch.setattr(fit, "measure_speed", measure)
    small = ("model=span", "model.num_blocks=1", "model.channels=8", "scale=2", "trainer.max_epochs=1")
    assert command("data=isr", f"data.root={make_folder(count=6)}", *small)[0] == 0
    (net,) = measured
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert convolutions
    assert all(one.weight.is_contiguous(memory_format=torch.channels_last) for one in convolutions)


@pytest.mark.slow
def test_requesting_test_scores_without_test_images_is_refused_and_a_finished_run_stays_done(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1", "data.test_share=0")
    code, text = command(*settings, "test=true")
    assert code == 2, text
    assert text.strip() == "error: test=true: no test images are held out: set data.test_share above 0, or test=false"
    assert not RunFolder(tmp_path / "run").result.is_file()
    assert command(*settings)[0] == 0
    code, text = command(*settings, "test=true")
    assert code == 2, text
    assert "this run held no test images out" in text
    result = read_result(tmp_path / "run")
    assert result is not None
    assert result.status is Status.DONE


def test_a_run_that_was_never_validated_tests_its_last_checkpoint(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=6)
    settings = ("data=isr", f"data.root={root}", "scale=2", "trainer.max_epochs=1", "trainer.limit_val_batches=0")
    code, text = command(*settings, "test=true")
    assert code == 0, text
    assert "never validated, so no checkpoint is the best: the last one is tested" in text
    files = RunFolder(tmp_path / "run")
    row = read_table(files.test_images)[0]
    expected = psnr_of(files.last, root / "high_res" / f"{row['name']}.png")
    assert float(row["psnr"]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_folds_that_were_never_validated_are_done(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1", "trainer.limit_val_batches=0")
    code, text = command(*settings, "data.folds=2", "data.fold=all")
    assert code == 0, text
    assert text.count("never validated") == 3
    result = read_result(tmp_path / "run")
    assert result is not None
    assert (result.status, result.reason, len(result.trainings)) == (Status.DONE, "", 2)
    assert result.monitor is not None
    assert result.monitor.value is None


def test_a_bug_in_a_users_loss_shows_its_traceback(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    code, text = command(
        "data=isr", f"data.root={make_folder(count=6)}", "loss._target_=tests.support.parts.BrokenLoss"
    )
    assert code == 1
    assert "tests/support/parts.py" in text
    assert "TypeError" in text
    result = read_result(tmp_path / "run")
    assert result is not None
    assert result.status is Status.FAILED
    assert result.reason.startswith("TypeError: ")


def test_a_value_refused_by_a_component_gives_one_line_that_names_its_option(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=6)
    for override, line in {
        "optimizer.lr=-1": "error: optimizer: Invalid learning rate: -1",
        "scheduler.warmup=2": "error: scheduler: warmup must be from 0 to 1, got 2",
    }.items():
        code, text = command("data=isr", f"data.root={root}", override)
        assert code == 2, text
        assert text.strip().startswith(line), text
        assert not RunFolder(tmp_path / "run").result.is_file()


def test_python_warnings_in_a_worker_of_a_sweep_are_logged_instead_of_written_across_its_table(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fit, "in_worker", lambda: True)
    try:
        fit._silence()
        warnings.warn("the scheduler is odd", UserWarning, stacklevel=1)
    finally:
        logging.captureWarnings(False)
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "py.warnings")
    assert "the scheduler is odd" in record.getMessage()
