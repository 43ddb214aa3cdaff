"""Train on a disk that is too small, enlarge the disk and train again."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tests.support.kills import run_to_end, training_command
from tests.support.run_differences import differences

_LARGE_ENOUGH = "64m"
_MESSAGES = "cannot be written to (No space left on device)", "the disk is full: free some space"


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a tmpfs of a size such as ``800k``; needs Linux and root.

    Raises:
        subprocess.CalledProcessError: if mounting is not allowed.
    """
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def train_on_small_disk(root: Path, disk: Path, size: str, undisturbed: Path) -> tuple[int, list[str]]:
    """Train on a small disk, enlarge it, train again, and compare with the folder of an undisturbed run.

    Args:
        root: folder of the images.
        disk: where the disk is mounted.
        size: of the disk, such as ``800k``.
        undisturbed: folder of an uninterrupted run of the same command.

    Returns:
        The exit code of the first run, and the faults in its messages and checkpoints and in the second run's results.
    """
    command = training_command("run", root, disk / "run")
    with small_disk(disk, size):
        first = subprocess.run(command, cwd=root, capture_output=True, text=True)
        faults = _faults(first)
        for path in disk.rglob("*.ckpt"):
            torch.load(path, weights_only=True)
        subprocess.run(["mount", "-o", f"remount,size={_LARGE_ENOUGH}", disk], check=True)
        run_to_end(command, disk / "run")
        faults += differences(undisturbed, disk / "run")
    return first.returncode, faults


def _faults(process: subprocess.CompletedProcess[str]) -> list[str]:
    """Faults of a run on a full disk: an unexpected exit code, or anything but a one-line error message.

    The line is on standard error if the disk was full before the run began, otherwise in the run's log.
    """
    errors = [line for line in (process.stdout + process.stderr).splitlines() if "error: " in line]
    other_lines = [line for line in process.stderr.splitlines() if "error: " not in line]
    faults = [f"standard error: {line}" for line in other_lines]
    if process.returncode not in (0, 2):
        faults.append(f"exit code {process.returncode}")
    if process.returncode == 2 and not (len(errors) == 1 and any(message in errors[0] for message in _MESSAGES)):
        faults.append(f"lines: {errors}")
    return faults
