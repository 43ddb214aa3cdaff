"""The cost of loading images: time spent waiting and decoding, and memory by number of images.

python -m scripts.bench.data             # about 5 minutes on two cores; writes benchmarks/data.json
"""

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scripts.bench.timing import photographs, run, save
from sr.data.sources import isr_folders
from sr.datamodule import ISRDataModule

NETWORKS = ("espcn", "autoencoder", "vdsr")


def waiting(root: Path, steps: int) -> list[dict[str, Any]]:
    """Percentage of the training time spent waiting for data, by network."""
    rows = []
    for model in NETWORKS:
        result = run(
            "data=isr", f"data.root={root}", f"model={model}", "data.test_share=0", "data.repeat=100",
            "data.train_scored=0", f"+trainer.max_steps={steps}", "trainer.max_epochs=1",
        )  # fmt: skip
        rows.append({"what": f"waiting for data, {model}", "value": 100 * result.wait_share, "unit": "%"})
    return rows


def open_images(root: Path, cache_dir: Path, epochs: int) -> tuple[float, int]:
    """Open a folder with an on-disk cache and read it for some epochs.

    Returns:
        Seconds to open it, and growth of the process in bytes.
    """
    before = private_memory()
    start = time.perf_counter()
    data = ISRDataModule(
        isr_folders, str(root), cache="disk", cache_dir=str(cache_dir),
        group_near_identical=False, patch=32, batch_size=64,
    )  # fmt: skip
    data.setup()
    seconds = time.perf_counter() - start
    for _ in range(epochs):
        for _ in data.train_dataloader():
            pass
    return seconds, private_memory() - before


def private_memory() -> int:
    """Bytes of this process that are not backed by a file; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no RssAnon: this part needs Linux")


def opening(count: int) -> list[dict[str, Any]]:
    """Time to decode images and to open them again, and memory after an epoch, each in a new process."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as root:
        folder, cache = Path(root, "high_res"), Path(root, "cache")
        folder.mkdir()
        for number in range(count):
            noise = random.integers(0, 256, (48, 48, 3), np.uint8)
            Image.fromarray(noise).save(folder / f"{number}.bmp")
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
            first_seconds, memory = processes.submit(open_images, Path(root), cache, epochs=1).result()
            second_seconds, _ = processes.submit(open_images, Path(root), cache, epochs=0).result()
    return [
        {"what": f"{count} images: decoded for the first time", "value": first_seconds, "unit": "s"},
        {"what": f"{count} images: opened again", "value": second_seconds, "unit": "s"},
        {"what": f"{count} images: memory after an epoch", "value": memory / 2**20, "unit": "MiB"},
    ]


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[855, 50_000], help="numbers of images")
    parser.add_argument("--steps", type=int, default=40, help="training steps while waiting is measured")
    options = parser.parse_args()
    rows = [row for count in options.counts for row in opening(count)]
    with photographs() as root:
        rows += waiting(root, options.steps)
    save("data", rows)


if __name__ == "__main__":
    main()
