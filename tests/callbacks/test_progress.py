import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sr.callbacks import progress
from sr.callbacks.progress import RunProgress
from sr.callbacks.tables import EpochTable
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from tests.support.runs import SMALL, MakeFolder
from tests.support.terminals import in_terminal

MODULE: Any = None


def fake_trainer(*, step: int, total: int = 40, rows: int = 1) -> Any:
    table = EpochTable()
    table.rows = [{"epoch": 1, "train/loss": 0.5, "val/psnr": 30.0, "val/gain": 0.5}][:rows]
    return SimpleNamespace(
        current_epoch=step // 10, max_epochs=4, global_step=step, estimated_stepping_batches=total, callbacks=[table]
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time that the bar sees."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def shown(bar: RunProgress) -> tuple[str, float, str, str]:
    assert bar._bar is not None
    (task,) = bar._bar.tasks
    return task.description, task.completed, task.fields["scores"], task.fields["time"]


def test_the_bar_counts_epochs_from_1_and_tells_the_time_left_by_what_the_steps_so_far_took(
    clock: SimpleNamespace,
) -> None:
    bar = RunProgress()
    bar.on_train_start(fake_trainer(step=0, rows=0), MODULE)
    assert shown(bar) == ("epoch 1/4", 0, "", "")
    clock.now += 30
    bar.on_train_batch_end(fake_trainer(step=15), MODULE, None, None, 4)
    assert shown(bar) == ("epoch 2/4", 15, "loss 0.5  val/psnr 30.00 dB  gain +0.50", "0:50 left")
    bar.on_validation_start(fake_trainer(step=20), MODULE)
    assert shown(bar)[0] == "epoch 3/4 validating"
    bar.on_exception(fake_trainer(step=20), MODULE, KeyboardInterrupt())
    assert bar._bar is None


def test_the_time_left_of_a_resumed_run_counts_its_own_steps_alone(clock: SimpleNamespace) -> None:
    bar = RunProgress()
    bar.on_train_start(fake_trainer(step=30), MODULE)
    clock.now += 8
    bar.on_train_batch_end(fake_trainer(step=32), MODULE, None, None, 1)
    assert shown(bar)[1:] == (32, "loss 0.5  val/psnr 30.00 dB  gain +0.50", "0:32 left")
    bar.on_exception(fake_trainer(step=32), MODULE, KeyboardInterrupt())


def test_only_the_first_process_draws() -> None:
    bar = RunProgress()
    bar.disable()
    bar.on_train_start(fake_trainer(step=0), MODULE)
    assert bar._bar is None


@pytest.mark.slow
def test_a_terminal_shows_one_bar_with_the_epochs_of_metrics_csv_instead_of_a_line_each(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=12)}", "trainer.max_epochs=2", "test=true"]
    command = [sys.executable, "-m", "sr.train", *SMALL, *settings, f"hydra.run.dir={tmp_path / 'run'}"]
    code, lines = in_terminal(command, tmp_path)
    assert code == 0, lines
    names = [line.split()[0] for line in lines[:5]]
    assert names == ["network", "data", "degradation", "device", "folder"]
    files = RunFolder(tmp_path / "run")
    rows = read_table(files.metrics)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    bars = [line for line in lines if line.startswith("epoch ")]
    assert all("━" in line for line in bars)
    assert {line.split()[1] for line in bars} == {"1/2", "2/2"}
    last = rows[-1]
    scores = f"val/psnr {float(last['val/psnr']):.2f} dB  gain {float(last['val/gain']):+.2f}"
    assert re.search(rf"^epoch 2/2 ━+ loss {float(last['train/loss']):.3g}  {re.escape(scores)} \d:\d\d$", bars[-1])
    log_file = (tmp_path / "run" / "train.log").read_text()
    assert [f"epoch {epoch}/2 " in log_file for epoch in (1, 2)] == [True, True]
