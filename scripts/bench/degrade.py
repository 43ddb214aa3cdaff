"""The cost of each degradation: milliseconds for a crop, and how long a training of ESPCN waits for its data.

python -m scripts.bench.degrade                # about 8 minutes on two idle cores; writes benchmarks/degrade.json
python -m scripts.bench.degrade --workers 0 1 2 --degrade photo

Crops are those of experiment=espcn_x2, 64 of 24 low-resolution pixels in a batch, with the margin that they need.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch

from scripts.bench.timing import photographs, run, save
from sr.benchmark.named_degradations import named_degradations
from sr.data.batches import Augment, Draw, TrainingPairs
from sr.data.degrade.base import Degradation
from sr.data.sources import isr_folders
from sr.data.stores.store import PairStore
from sr.train import config_dir

SCALE, PATCH, BATCH = 2, 48, 64
MOST_WAITING = 10.0  # percent


def milliseconds(root: Path, degradation: Degradation, count: int) -> float:
    """Processor time of a training crop, in one thread; that of cutting it if nothing is drawn anew."""
    sources = isr_folders(root)
    store = PairStore(sources, scale=SCALE, shrink=2, kind="memory", degradation=degradation)
    pairs = TrainingPairs(store, range(len(sources)), scale=SCALE, patch=PATCH, augment=Augment(), seed=1)
    pairs[[Draw(0, 0, 0)]]  # imports, and the matrices of resizes
    start = time.process_time()
    for number in range(count):
        pairs[[Draw(number % len(sources), 1, number)]]
    return 1000 * (time.process_time() - start) / count


def waiting(root: Path, name: str, workers: int, steps: int) -> float:
    """Percentage of the training time spent waiting for data."""
    result = run(
        *("data=isr", f"data.root={root}", "model=espcn", "model.num_blocks=3", f"scale={SCALE}", f"degrade={name}"),
        *(f"data.patch={PATCH}", f"data.batch_size={BATCH}", "data.test_share=0", "data.repeat=1000"),
        *("data.train_scored=0", f"data.num_workers={workers}", f"+trainer.max_steps={steps}", "trainer.max_epochs=1"),
    )
    return 100 * result.wait_share


def advice(row: dict[str, Any], workers: list[int]) -> str:
    """What to do where the training waits for too long."""
    shares = {count: row[f"waiting %, {count} workers"] for count in workers}
    enough = [count for count, share in shares.items() if share <= MOST_WAITING]
    if enough:
        return "fine" if enough[0] == 0 else f"data.num_workers={enough[0]}"
    best = min(shares, key=lambda count: shares[count])
    return (
        f"data.num_workers={best}, and more cores; larger patches in smaller batches; a larger network; "
        "or copies by sr degrade as files of low resolution, which are degraded once"
    )


def main() -> None:
    """Measure, print a table and write it."""
    names = sorted(path.stem for path in (config_dir() / "degrade").glob("*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--degrade", nargs="+", default=names, metavar="NAME", help="choices (default: all)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="numbers of loading processes")
    parser.add_argument("--steps", type=int, default=150, help="training steps while waiting is measured")
    parser.add_argument("--crops", type=int, default=200, help="crops that are timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with photographs() as root:
        for name, degradation in named_degradations(",".join(options.degrade), config_dir()).items():
            row: dict[str, Any] = {"degradation": name, "ms/crop": milliseconds(root, degradation, options.crops)}
            for count in options.workers:
                row[f"waiting %, {count} workers"] = waiting(root, name, count, options.steps)
            row["advice"] = advice(row, options.workers)
            rows.append(row)
    save("degrade", rows, cores=os.cpu_count(), steps=options.steps)


if __name__ == "__main__":
    main()
