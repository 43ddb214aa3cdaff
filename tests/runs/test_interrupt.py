"""Runs that are interrupted and resumed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sr.io.tables import read_table as table
from tests.support.runs import SMALL, Command, MakeFolder, StopAt, result_of


@pytest.mark.slow
@pytest.mark.parametrize(("step", "workers"), [(1, 0), (5, 0), (5, 2), (6, 0), (9, 0)])
def test_ctrl_c_ends_cleanly_and_the_same_command_resumes_bit_for_bit(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, workers: int
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=14)}", "trainer.max_epochs=3"]
    settings += [f"data.num_workers={workers}", "model=autoencoder", "model.channels=4", "model.dropout=0.3"]
    stop = [f"+callbacks.stop={{_target_: tests.support.runs.StopAt, step: {step}}}"]
    never = ["+callbacks.stop={_target_: tests.support.runs.StopAt, step: -1}"]
    assert command(*settings, *never, folder="uninterrupted")[0] == 0

    code, text = command(*settings, *stop, interrupted=True)
    assert code == 130
    assert "stopping after this step" in text
    assert result_of(tmp_path / "run")["status"] == "interrupted"
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*settings, *stop)
    assert code == 0
    assert "resuming from" in text

    uninterrupted, resumed = (tmp_path / name for name in ("uninterrupted", "run"))
    state_dicts = [
        torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run_dir in (uninterrupted, resumed)
    ]
    assert all(torch.equal(state_dicts[0][name], state_dicts[1][name]) for name in state_dicts[0])
    columns = ("epoch", "step", "lr", "train/loss", "val/psnr", "val/loss")
    rows = [
        [[row[column] for column in columns] for row in table(run_dir / "metrics.csv")]
        for run_dir in (uninterrupted, resumed)
    ]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_a_job_at_its_time_limit_saves_a_checkpoint_before_the_schedulers_handler_runs(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=14)}", "trainer.max_epochs=3"]
    stop = [f"+callbacks.stop={{_target_: tests.support.runs.StopAt, step: 5, number: {int(signal.SIGUSR2)}}}"]
    checkpoint_exists: list[bool] = []

    def requeue(number: int, frame: object) -> None:
        checkpoint_exists.append((tmp_path / "run" / "checkpoints" / "last.ckpt").is_file())
        sys.exit(255)

    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        code, text = command(*settings, *stop)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert checkpoint_exists == [True]
    assert code == 143, text
    assert result_of(tmp_path / "run")["status"] == "interrupted"
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*settings, *stop)
    assert code == 0
    assert "resuming from" in text


@pytest.mark.slow
def test_sigterm_saves_a_checkpoint_and_exits_with_code_143(make_folder: MakeFolder, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = ["data=isr", f"data.root={make_folder(count=14)}", "trainer.max_epochs=500", f"hydra.run.dir={run}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sr.train", *SMALL, *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=tmp_path,
    )
    deadline = time.monotonic() + 60
    while not (run / "metrics.csv").is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output.decode()
    assert result_of(run)["status"] == "interrupted"
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] > 0
