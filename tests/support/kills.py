"""Run the real training command, kill it at random moments, and restart it."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

# Checkpoints after every step, dropout and averaged weights to add state, and validation as long as an epoch.
_SMALL = (
    *("data=isr", "data.patch=32", "data.repeat=1", "data.batch_size=2", "data.val_share=0.4", "data.train_scored=1"),
    *("model=autoencoder", "model.channels=4", "model.dropout=0.3", "callbacks=ema", "callbacks.checkpoints.minutes=0"),
    *("trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.log_every_n_steps=1", "trainer.max_epochs=4"),
)
KINDS = {
    "run": (),
    "folds": ("data.fold=all", "data.folds=2", "trainer.max_epochs=2"),
    "grid": ("loss=mse,mae", "optimizer=adam,sgd", "trainer.max_epochs=2"),
    "parallel grid": ("loss=mse,mae", "optimizer=adam,sgd", "trainer.max_epochs=2", "hydra/launcher=joblib"),
    "search": ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "optimizer.lr=interval(1e-4,1e-3)"),
}
_SWEEPS = ("grid", "parallel grid", "search")
_TIMEOUT = 300.0  # seconds until a command must have exited


def make_images(root: Path, count: int = 14) -> Path:
    """Write smooth 64x48 images to ``root/high_res``, as `data=isr` reads them; returns ``root``."""
    random_values = np.random.default_rng(0)
    (root / "high_res").mkdir(parents=True)
    for number in range(count):
        coarse = Image.fromarray(random_values.integers(0, 256, (6, 8, 3), np.uint8))
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(root / "high_res" / f"{number}.png")
    return root


def training_command(kind: str, root: Path, folder: Path) -> list[str]:
    """The command that trains a kind (a key of `KINDS`) on the images in ``root`` and writes to ``folder``."""
    options = [*_SMALL, *KINDS[kind], f"data.root={root}", f"data.cache_dir={root / 'cache'}"]
    mode, folder_option = ("-m", "hydra.sweep.dir") if kind in _SWEEPS else ("--run", "hydra.run.dir")
    return [sys.executable, "-m", "sr.train", mode, *options, f"{folder_option}={folder}"]


def run_to_end(command: list[str], folder: Path) -> None:
    """Run a command to completion; its output goes to a log next to ``folder``.

    Raises:
        RuntimeError: if it fails.
        subprocess.TimeoutExpired: if it hangs.
    """
    _check_exit(_start(command, _log(folder)), command, folder)


def run_with_kills(command: list[str], folder: Path, kills: int, rng: random.Random) -> Iterator[str]:
    """Start a command repeatedly, kill it up to ``kills`` times, then let it finish.

    Yields:
        What each kill interrupted, and the signal.

    Raises:
        RuntimeError, subprocess.TimeoutExpired: as `run_to_end`.
    """
    for _ in range(kills):
        process = _start(command, _log(folder))
        interrupted = _kill(process, folder, rng)
        if interrupted is None:
            return _check_exit(process, command, folder)
        yield interrupted
    run_to_end(command, folder)


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in its own process group."""
    with log.open("ab") as file:
        return subprocess.Popen(command, cwd=log.parent, stdout=file, stderr=file, start_new_session=True)


def _log(folder: Path) -> Path:
    return folder.with_suffix(".log")


def _check_exit(process: subprocess.Popen[bytes], command: list[str], folder: Path) -> None:
    if process.wait(_TIMEOUT) != 0:
        raise RuntimeError(f"{' '.join(command)}: ended with {process.returncode}\n{_log(folder).read_text()}")


def _kill(process: subprocess.Popen[bytes], folder: Path, rng: random.Random) -> str | None:
    """Kill a process, or its whole group, at a random moment.

    Returns:
        What was interrupted, and the signal; None if the process had already exited.
    """
    moment = rng.choice(["starting", "training", "training", "writing"])
    number = signal.SIGTERM if rng.random() < 0.2 else signal.SIGKILL
    _wait_for(moment, process, folder, rng)
    if process.poll() is not None:
        return None
    if rng.random() < 0.5:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)  # its child processes have to notice on their own
    process.wait(_TIMEOUT)
    unfinished = [path.name.split(".")[1] for path in folder.rglob("*.tmp")]
    if unfinished:
        moment = f"writing {unfinished[0]}"
    elif moment != "starting":
        moment = "training or validating"
    return f"{moment}, {signal.Signals(number).name}"


def _wait_for(moment: str, process: subprocess.Popen[bytes], folder: Path, rng: random.Random) -> None:
    """Wait until a process starts, trains or writes a file, plus a random delay."""
    if moment == "starting":
        time.sleep(rng.uniform(0, 4))
        return
    checkpoint_time = _newest_checkpoint(folder)
    deadline = time.monotonic() + _TIMEOUT
    while process.poll() is None and _newest_checkpoint(folder) == checkpoint_time and time.monotonic() < deadline:
        time.sleep(0.01)
    deadline = time.monotonic() + rng.uniform(0, 2)
    while process.poll() is None and time.monotonic() < deadline:
        if moment == "writing" and any(folder.rglob("*.tmp")):
            break


def _newest_checkpoint(folder: Path) -> float:
    """Modification time of the newest ``last.ckpt`` in a folder, 0 if there is none."""
    return max((path.stat().st_mtime for path in folder.rglob("last.ckpt")), default=0.0)
