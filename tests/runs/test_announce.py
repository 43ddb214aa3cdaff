import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from sr.runs.announce import introduce
from sr.runs.schema import RunResult, Status
from sr.trackers.tensorboard import TensorBoardTracker
from tests.support.runs import Command, MakeFolder

IMAGES = [
    {"name": "a_0", "group": "a", "part": "train"},
    {"name": "a_1", "group": "a", "part": "train"},
    {"name": "b", "group": "b", "part": "val"},
]


def fake_parts(*loggers: Logger) -> Any:
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(
        trainer=SimpleNamespace(strategy=strategy, world_size=1),
        datamodule=SimpleNamespace(degradation=lambda: "x2, low resolution by MATLAB's bicubic"),
        loggers=list(loggers),
    )


def result_with(root: Any) -> RunResult:
    return RunResult(
        Status.RUNNING,
        {"data": {"root": root}},
        choices={"model": "espcn", "optimizer": "adam", "data": "isr"},
        loss="mse",
        parameters=24_195,
        precision="32-true",
        machine={"processor": "AMD EPYC", "threads": 1},
    )


def test_a_run_introduces_itself_in_five_lines(caplog: pytest.LogCaptureFixture) -> None:
    threads = torch.get_num_threads()
    with caplog.at_level(logging.INFO):
        introduce(fake_parts(), result_with(["A", "B"]), IMAGES, Path("runs/a"), set())
    assert caplog.messages == [
        "network      espcn, 24,195 parameters, loss mse, optimizer adam",
        "data         A, B: train 2 images (1 photographs), validation 1 (1), test 0",
        "degradation  x2, low resolution by MATLAB's bicubic",
        f"device       cpu (AMD EPYC), float32, {threads} thread{'s' if threads > 1 else ''}",
        "folder       runs/a",
    ]


def test_a_later_training_of_a_cell_says_only_what_is_new(caplog: pytest.LogCaptureFixture) -> None:
    said: set[str] = set()
    introduce(fake_parts(), result_with(None), IMAGES, Path("runs/a/fold_0"), said)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        introduce(fake_parts(), result_with(None), IMAGES[1:], Path("runs/a/fold_1"), said)
    assert caplog.messages == [
        "data         isr: train 1 images (1 photographs), validation 1 (1), test 0",
        "folder       runs/a/fold_1",
    ]


def test_a_logger_that_keeps_less_than_its_tracker_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said: set[str] = set()
    introduce(fake_parts(TensorBoardTracker(str(tmp_path))), result_with(None), IMAGES, Path("runs/a"), said)
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]
    for _ in range(2):
        introduce(fake_parts(TensorBoardLogger(str(tmp_path))), result_with(None), IMAGES, Path("runs/a"), said)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith("logger: Lightning's TensorBoardLogger keeps curves alone")
    assert "sr.trackers.tensorboard.TensorBoardTracker" in warning


def test_output_that_is_no_terminal_has_five_lines_then_one_for_each_epoch(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=10)
    code, text = command("data=isr", f"data.root={root}", "trainer.max_epochs=2", "data.shrink=3", "logger=none")
    assert code == 0, text
    lines = text.splitlines()
    assert lines[1] == f"data         {root}: train 7 images (7 photographs), validation 1 (1), test 2 (2)"
    assert lines[2] == "degradation  scale 1: sharpens, does not enlarge; input shrunk and enlarged by 3"
    assert lines[4] == f"folder       {tmp_path / 'run'}"
    assert [line.split("  ")[0] for line in lines[5:7]] == ["epoch 1/2", "epoch 2/2"]
    assert sum(line.startswith("epoch") for line in lines) == 2


def test_options_that_others_take_the_place_of_are_said(command: Command, make_folder: MakeFolder) -> None:
    root, val_root = make_folder(count=6), make_folder(count=2, name="val", size=(40, 60))
    shares = ["data.val_share=0.3", "data.test_share=0.2"]
    code, text = command("data=isr", f"data.root={root}", f"data.val_root={val_root}", *shares, "trainer.max_epochs=1")
    assert code == 0, text
    assert f"data.val_share=0.3 is not used: data.val_root={val_root} takes its place" in text
    assert "data.test_share" not in text


@pytest.mark.slow
def test_only_runs_that_log_to_tensorboard_import_it() -> None:
    code = "import sys, sr.runs.trainings; sys.exit('torch.utils.tensorboard' in sys.modules)"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert completed.returncode == 0, completed.stderr
