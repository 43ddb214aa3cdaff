"""Several processes that train one run."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from sr.io.run_folder import RunFolder
from sr.io.tables import read_table as table
from tests.support.runs import SMALL, Command, MakeFolder, result_of


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_two_processes_stop_together_when_one_is_signalled_and_resume(
    make_folder: MakeFolder, tmp_path: Path, number: int
) -> None:
    run = tmp_path / "run"
    settings = ["data=isr", f"data.root={make_folder(count=40)}", "trainer.max_epochs=30", "logger=none"]
    settings += ["trainer=ddp", "trainer.devices=2", "trainer.log_every_n_steps=1"]
    argv = [sys.executable, "-m", "sr.train", *SMALL, "data.batch_size=1", *settings, f"hydra.run.dir={run}"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path)
    deadline = time.monotonic() + 100
    while not (run / "metrics.csv").is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)  # to rank 0 only
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number, output.decode()
    assert result_of(run)["status"] == "interrupted"
    assert table(run / "metrics.csv")[-1]["epoch"] != "30"
    steps = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert steps > 0
    completed = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200, cwd=tmp_path)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert [row["epoch"] for row in table(run / "metrics.csv")] == [str(epoch + 1) for epoch in range(30)]


@pytest.mark.slow
def test_two_processes_train_like_one_with_twice_the_batch_size(make_folder: MakeFolder, tmp_path: Path) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=12)}", "trainer.max_epochs=3", "logger=none"]
    settings += ["data.patch=32", "data.repeat=2", "trainer.accelerator=cpu", "trainer.precision=32-true"]
    tables = {}
    for trainer, devices, batch_size in (("cpu", 1, 8), ("ddp", 2, 4)):
        trainer_options = [f"trainer={trainer}", f"trainer.devices={devices}", f"data.batch_size={batch_size}"]
        argv = [sys.executable, "-m", "sr.train", *trainer_options, *settings, f"hydra.run.dir={tmp_path / trainer}"]
        completed = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200)
        assert completed.returncode == 0, completed.stdout + completed.stderr
        tables[trainer] = table(tmp_path / trainer / "metrics.csv")
    assert len(tables["cpu"]) == len(tables["ddp"]) == 3
    for single, parallel in zip(tables["cpu"], tables["ddp"], strict=True):
        assert parallel["step"] == single["step"]
        assert float(parallel["train/loss"]) == pytest.approx(float(single["train/loss"]), rel=1e-4)
        assert float(parallel["val/loss"]) == pytest.approx(float(single["val/loss"]), rel=1e-3)
    alone, together = (
        [float(row["psnr"]) for row in table(tmp_path / trainer / "images.csv")] for trainer in ("cpu", "ddp")
    )
    assert together == pytest.approx(alone, abs=1e-3)


@pytest.mark.slow
def test_two_processes_retrain_and_resume_after_a_kill(make_folder: MakeFolder, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = ["data=isr", f"data.root={make_folder(count=12)}", "trainer.max_epochs=4", "logger=none"]
    settings += ["trainer=ddp", "trainer.devices=2", f"hydra.run.dir={run}"]
    argv = [sys.executable, "-m", "sr.train", *SMALL, *settings]
    first = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200, cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    process = subprocess.Popen([*argv, "retrain=true"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path)
    deadline = time.monotonic() + 100
    started = result_of(run)["started"]
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(FileNotFoundError):  # for a moment the earlier record is gone and the new one not yet there
            if RunFolder(run).last.is_file() and result_of(run)["started"] != started:
                break
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)
    assert result_of(run)["status"] == "running"  # as rank 0 recorded it
    rerun = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200, cwd=tmp_path)
    assert rerun.returncode == 0, rerun.stdout + rerun.stderr
    assert "resuming from" in rerun.stdout
    assert [row["epoch"] for row in table(run / "metrics.csv")] == [str(epoch + 1) for epoch in range(4)]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--multirun", "seed=1,2"], "2 processes would each start the whole sweep"),
        (["data.folds=2", "data.fold=all"], "2 processes would each start all seeds and folds"),
    ],
)
def test_sweeps_and_all_folds_are_refused_with_several_processes_whatever_the_strategy(
    command: Command, make_folder: MakeFolder, tmp_path: Path, overrides: list[str], message: str
) -> None:
    flags = [word for word in overrides if word.startswith("--")]
    settings = [word for word in overrides if not word.startswith("--")]
    for strategy in ("auto", "ddp"):
        code, text = command(
            *("data=isr", f"data.root={make_folder(count=6, name=strategy)}", f"trainer.strategy={strategy}"),
            *("trainer.devices=2", f"hydra.sweep.dir={tmp_path / 'grid'}", *settings),
            flags=flags,
        )
        assert code != 0, text
        assert message in text
        assert "Traceback" not in text
        assert not RunFolder.below(tmp_path)
