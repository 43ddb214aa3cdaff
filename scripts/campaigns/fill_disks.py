"""Train on disks that are too small, make room, give the same command again, and compare with an unharmed run.

sudo python -m scripts.campaigns.fill_disks        # about 5 minutes; mounts a tmpfs; writes benchmarks/full_disks.json

Each disk holds a little more than the one before, so that it fills up at another write: a log, a picture, a curve, a
checkpoint, the result. The run has to end with exit code 2 and one line, and all checkpoints that it leaves have to be
whole. Then the disk grows, and the same command has to end as if nothing had happened. Exit code 1 if not.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from scripts.bench.timing import save
from scripts.campaigns.kill_runs import command, differences, finish, make_images

_ENOUGH = "64m"
_LINE = "cannot be written to (No space left on device)", "the disk is full: free some space"


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """Mount a file system in memory that holds so much, say ``800k``; needs to be root on Linux.

    Raises:
        subprocess.CalledProcessError: if that is not allowed.
    """
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def fill(root: Path, place: Path, size: str) -> tuple[int, list[str]]:
    """Train on a disk of a size, then on a larger one; the first exit code, and what is wrong with either end."""
    whole = place.parent / "unharmed"
    line = command("run", root, place / "run")
    with small_disk(place, size):
        first = subprocess.run(line, cwd=root, capture_output=True, text=True)
        lines = [one for one in first.stdout.splitlines() if "error: " in one]
        wrong = [f"standard error: {first.stderr}"] if first.stderr.strip() else []
        if first.returncode not in (0, 2):
            wrong.append(f"exit code {first.returncode}")
        if first.returncode == 2 and not (len(lines) == 1 and any(part in lines[0] for part in _LINE)):
            wrong.append(f"lines: {lines}")
        for path in place.rglob("*.ckpt"):
            torch.load(path, weights_only=True)
        subprocess.run(["mount", "-o", f"remount,size={_ENOUGH}", place], check=True)
        finish(line, place / "run")
        wrong += differences(whole, place / "run")
    return first.returncode, wrong


def main() -> None:
    """Fill, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disks", type=int, default=12)
    parser.add_argument("--smallest", type=int, default=16, help="KiB")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        root, whole = make_images(base / "data"), base / "unharmed"
        finish(command("run", root, whole), whole)
        needed = sum(-(-path.stat().st_size // 4096) * 4 for path in whole.rglob("*") if path.is_file())
        for number in track(range(options.disks), transient=True):
            size = options.smallest + number * (needed - options.smallest) // options.disks
            code, wrong = fill(root, base / "disk", f"{size}k")
            rows.append({"kib": size, "exit code": code, "wrong": wrong})
            print(rows[-1])
    save("full_disks", rows)
    sys.exit(any(row["wrong"] for row in rows))


if __name__ == "__main__":
    main()
