"""Train on disks that are too small, enlarge them, repeat the command, and compare with an undisturbed run.

sudo python -m scripts.campaigns.fill_disks        # about 5 minutes; mounts a tmpfs; writes benchmarks/full_disks.json

Each disk is a little larger than the one before, so that it fills up at a different write: a log, a picture, a curve, a
checkpoint, the result. The run must exit with code 2 and a one-line message, and every checkpoint on the disk must be
complete. After the disk has been enlarged, the same command must give the same result as on a large disk. Otherwise the
exit code is 1.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.progress import track

from scripts.bench.timing import save
from tests.support.kills import make_images, run_to_end, training_command
from tests.support.small_disks import train_on_small_disk

_BLOCK = 4  # KiB of a file system's block


def needed_kib(folder: Path) -> int:
    """KiB that the files of a folder take on disk."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(-(-size // (1024 * _BLOCK)) * _BLOCK for size in sizes)


def main() -> None:
    """Fill each disk, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--disks", type=int, default=12, help="number of disk sizes")
    parser.add_argument("--smallest", type=int, default=16, help="size of the smallest disk in KiB")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        root, undisturbed = make_images(base / "data"), base / "undisturbed"
        run_to_end(training_command("run", root, undisturbed), undisturbed)
        needed = needed_kib(undisturbed)
        for number in track(range(options.disks), transient=True):
            size = options.smallest + number * (needed - options.smallest) // options.disks
            code, faults = train_on_small_disk(root, base / "disk", f"{size}k", undisturbed)
            rows.append({"kib": size, "exit code": code, "wrong": faults})
            print(rows[-1])
    save("full_disks", rows)
    sys.exit(any(row["wrong"] for row in rows))


if __name__ == "__main__":
    main()
