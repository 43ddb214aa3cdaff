"""Time of ``sr report`` on a grid with seeds and folds, and of ``sr runs`` and ``sr status`` on many run folders.

python -m scripts.bench.records          # writes benchmarks/records.json

One cell is trained for an epoch. Its folder is copied for each cell of the grid, and that of one training for each of
the many runs; the scores of the copies are changed at random.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from scripts.bench.timing import save

MODELS, LOSSES, OPTIMIZERS = ("espcn", "autoencoder", "vdsr"), ("mse", "mae", "vgg"), ("adam", "sgd", "rmsprop")
SR = str(Path(sys.executable).with_name("sr"))
_NOISE = 0.05  # dB, between trainings


def seconds(*command: str) -> float:
    """Wall time of a command."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def train_cell(folder: Path, seeds: int, folds: int) -> None:
    """Train one cell with several seeds and folds, each for an epoch."""
    options = ["model=espcn", "model.channels=2", "data.repeat=1", "trainer.max_epochs=1", "logger=none"]
    cell = [f"seeds={seeds}", f"data.folds={folds}", "data.fold=all", f"hydra.run.dir={folder}"]
    command = [sys.executable, "-m", "sr.train", *options, *cell]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def copy_as(source: Path, target: Path, choices: tuple[str, str, str], random: np.random.Generator) -> None:
    """Copy a cell or a training as one of other choices, with other scores."""
    shutil.copytree(source, target)
    model, loss, optimizer = choices
    shift = float(random.normal(0, 0.3))
    for path in target.rglob("result.json"):
        record = json.loads(path.read_text().replace(str(source), str(target)))
        record["choices"] |= {"model": model, "loss": loss, "optimizer": optimizer}
        record["loss"] = loss
        for part, of in (("model", model), ("loss", loss), ("optimizer", optimizer)):
            record["config"][part]["_target_"] = f"{of}.{of}"
        path.write_text(json.dumps(record))
    for path in target.rglob("images.csv"):
        with path.open(newline="") as file:
            rows: list[dict[str, Any]] = list(csv.DictReader(file))
        for row in rows:
            gain = shift + float(random.normal(0, _NOISE))
            row |= {name: float(row[name]) + gain for name in ("psnr", "gain")}
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)


def main() -> None:
    """Measure, and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=10_000)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        train_cell(place / "cell", options.seeds, options.folds)
        for choices in product(MODELS, LOSSES, OPTIMIZERS):
            copy_as(place / "cell", place / "grid" / "_".join(choices), choices, random)
        one = next(path.parent for path in sorted((place / "cell").rglob("checkpoints")))
        for number in range(options.runs):
            copy_as(one, place / "many" / f"{number:05}", (MODELS[number % 3], "mse", "adam"), random)
        trainings = f"{27 * options.seeds * options.folds} trainings of 27 cells"
        many = f"{options.runs} runs"
        rows = [
            {"command": f"sr {command}", "on": on, "seconds": seconds(SR, command, str(place / folder))}
            for command, folder, on in (
                ("report", "grid", trainings),
                ("status", "grid", trainings),
                ("runs", "many", many),
                ("status", "many", many),
            )
        ]
    save("records", rows)


if __name__ == "__main__":
    main()
