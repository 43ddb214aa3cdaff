"""Several processes that train one run."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sr.io.run_folder import RunFolder
from sr.io.tables import read_table as table
from tests.support.runs import SMALL, Command, MakeFolder, result_of


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_two_processes_stop_together_when_one_is_told_and_go_on(
    make_folder: MakeFolder, tmp_path: Path, number: int
) -> None:
    run = tmp_path / "run"
    settings = ["data=isr", f"data.root={make_folder(count=40)}", "trainer.max_epochs=30", "logger=none"]
    settings += ["trainer=ddp", "trainer.devices=2", "trainer.log_every_n_steps=1"]
    line = [sys.executable, "-m", "sr.train", *SMALL, "data.batch_size=1", *settings, f"hydra.run.dir={run}"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path)
    deadline = time.monotonic() + 100
    while not (run / "metrics.csv").is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)  # the first alone
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number, output.decode()
    assert result_of(run)["status"] == "interrupted"
    assert table(run / "metrics.csv")[-1]["epoch"] != "29"
    steps = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert steps > 0
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=200, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["epoch"] for row in table(run / "metrics.csv")] == [str(epoch) for epoch in range(30)]


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_doubled_batch(make_folder: MakeFolder, tmp_path: Path) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=12)}", "trainer.max_epochs=3", "logger=none"]
    settings += ["data.patch=32", "data.repeat=2", "trainer.accelerator=cpu", "trainer.precision=32-true"]
    tables = {}
    for trainer, devices, batch_size in (("cpu", 1, 8), ("ddp", 2, 4)):
        own = [f"trainer={trainer}", f"trainer.devices={devices}", f"data.batch_size={batch_size}"]
        line = [sys.executable, "-m", "sr.train", *own, *settings, f"hydra.run.dir={tmp_path / trainer}"]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        tables[trainer] = table(tmp_path / trainer / "metrics.csv")
    assert len(tables["cpu"]) == len(tables["ddp"]) == 3
    for one, both in zip(tables["cpu"], tables["ddp"], strict=True):
        assert both["step"] == one["step"]
        assert float(both["train/loss"]) == pytest.approx(float(one["train/loss"]), rel=1e-4)
        assert float(both["val/loss"]) == pytest.approx(float(one["val/loss"]), rel=1e-3)
    alone, together = (
        [float(row["psnr"]) for row in table(tmp_path / trainer / "images.csv")] for trainer in ("cpu", "ddp")
    )
    assert together == pytest.approx(alone, abs=1e-3)


@pytest.mark.slow
def test_two_processes_train_again_and_resume_after_a_kill(make_folder: MakeFolder, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = ["data=isr", f"data.root={make_folder(count=12)}", "trainer.max_epochs=4", "logger=none"]
    settings += ["trainer=ddp", "trainer.devices=2", f"hydra.run.dir={run}"]
    line = [sys.executable, "-m", "sr.train", *SMALL, *settings]
    first = subprocess.run(line, capture_output=True, text=True, check=False, timeout=200, cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    process = subprocess.Popen([*line, "retrain=true"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path)
    deadline = time.monotonic() + 100
    started = result_of(run)["started"]
    while process.poll() is None and time.monotonic() < deadline:
        if RunFolder(run).last.is_file() and result_of(run)["started"] != started:
            break
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)
    assert result_of(run)["status"] == "running"  # the record of rank 0 is there
    again = subprocess.run(line, capture_output=True, text=True, check=False, timeout=200, cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "resuming from" in again.stdout
    assert [row["epoch"] for row in table(run / "metrics.csv")] == [str(epoch) for epoch in range(4)]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--multirun", "seed=1,2"], "2 processes would each start the whole sweep"),
        (["data.folds=2", "data.fold=all"], "2 processes would each start all folds"),
    ],
)
def test_several_processes_are_refused_where_each_would_start_everything_whatever_the_strategy_is_called(
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
