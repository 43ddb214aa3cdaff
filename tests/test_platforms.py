"""The package on systems that the tests do not run on: without the modules and functions that those lack."""

import subprocess
import sys
from pathlib import Path

import pytest

# Other packages are imported first, on the real system; then those of sr, on the pretended one.
PRETEND = """
import importlib, pkgutil, signal, subprocess, sys, os
import sr, sr.train, sr.cli

def import_all():
    names = [module.name for module in pkgutil.walk_packages(sr.__path__, "sr.")]
    for name in names:
        importlib.import_module(name)
    return names

import_all()
for name in [name for name in sys.modules if name.split(".")[0] == "sr"]:
    del sys.modules[name]
sys.platform = sys.argv[1]
missing = {"darwin": (), "win32": ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog")}[sys.platform]
for name in missing:
    sys.modules[name] = None
for name in ("sched_getaffinity", "sched_setaffinity"):
    delattr(os, name)
if sys.platform == "win32":
    for name in ("killpg", "getpgid", "setsid", "fork", "sysconf", "getuid", "geteuid", "getloadavg", "nice"):
        delattr(os, name)
    for name in ("SIGUSR2", "SIGALRM", "SIGCHLD", "SIGHUP"):  # Lightning, imported on Linux, asks for some others
        delattr(signal, name)
    signal.SIGBREAK = signal.SIGQUIT  # a number that can be handled here
    subprocess.CREATE_NEW_PROCESS_GROUP = 0
import sr
assert len(import_all()) > 100
"""
# With workers that are spawned, as on both systems.
TRAIN = """
import torch
torch.multiprocessing.set_start_method("spawn")
from sr import train
sys.argv = [train.__file__, "debug=tiny", "logger=csv", "hydra.run.dir=run", *sys.argv[2:]]
train.main()
"""


def pretended(platform: str, code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process that takes the system for another."""
    command = [sys.executable, "-c", PRETEND + code, platform, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "workers"),
    [("win32", 0), ("darwin", 1)],  # Python starts no processes on a Windows that is pretended
)
def test_every_module_is_imported_and_a_training_ends(platform: str, workers: int, tmp_path: Path) -> None:
    ended = pretended(platform, TRAIN, f"data.num_workers={workers}", "data.cache=disk", folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()
