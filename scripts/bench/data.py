"""What data cost: waiting, decoding, and memory against the number of images.

python -m scripts.bench.data             # about 5 minutes on two cores; writes benchmarks/data.json
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scripts.bench.timing import photographs, run, save
from sr.data.image_set import shared_pool
from sr.data.sources import isr_folders
from sr.datamodule import ISRDataModule

NETWORKS = ("espcn", "autoencoder", "vdsr")


def waiting(root: Path, steps: int) -> list[dict[str, Any]]:
    """Share of training time spent waiting for data, by network."""
    rows = []
    for model in NETWORKS:
        result = run(
            "data=isr", f"data.root={root}", f"model={model}", "data.test_share=0", "data.repeat=100",
            "data.train_scored=0", f"+trainer.max_steps={steps}", "trainer.max_epochs=1",
        )  # fmt: skip
        rows.append({"what": f"waiting for data, {model}", "value": 100 * result.wait_share, "unit": "%"})
    return rows


def opened(root: Path, cache: Path, kind: str) -> tuple[ISRDataModule, float]:
    """A data module that has decoded its images, and the seconds it took, as in a process of its own."""
    shared_pool.close()
    begun = time.perf_counter()
    data = ISRDataModule(
        isr_folders, str(root), cache=kind, cache_dir=str(cache), group_near_identical=False, patch=32, batch_size=64
    )
    data.setup()
    return data, time.perf_counter() - begun


def own_memory() -> int:
    """Bytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no RssAnon: this part needs Linux")


def many(count: int) -> list[dict[str, Any]]:
    """Decoding once, and the memory of one epoch, with the cache on disk."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "high_res")
        folder.mkdir()
        for number in range(count):
            noise = random.integers(0, 256, (48, 48, 3), np.uint8)
            Image.fromarray(noise).save(folder / f"{number}.bmp")
        before = own_memory()
        data, first = opened(Path(root), Path(root, "cache"), "disk")
        for _ in data.train_dataloader():
            pass
        memory = own_memory() - before
        del data
        again = opened(Path(root), Path(root, "cache"), "disk")[1]
    return [
        {"what": f"{count} images: decoded for the first time", "value": first, "unit": "s"},
        {"what": f"{count} images: opened again", "value": again, "unit": "s"},
        {"what": f"{count} images: memory after an epoch", "value": memory / 2**20, "unit": "MiB"},
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[855, 50_000])
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    rows = [row for count in options.counts for row in many(count)]
    with photographs() as root:
        rows += waiting(root, options.steps)
    save("data", rows)


if __name__ == "__main__":
    main()
