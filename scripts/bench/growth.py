"""Time of an epoch by the number of images, their size, and the batch size.

python -m scripts.bench.growth           # about 5 minutes on two cores

Writes benchmarks/growth.json and docs/measured/growth.svg.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from scripts.bench.timing import RESULTS, interleaved, run, save

# The values of each setting; the others have their values in DEFAULTS.
AXES = {"images": (16, 32, 64, 128), "side": (64, 96, 128, 192), "batch_size": (4, 8, 16, 32)}
DEFAULTS = {"images": 64, "side": 96, "batch_size": 16}


def epoch_seconds(images: int, side: int, batch_size: int) -> float:
    """Seconds of ESPCN's second epoch on whole images of ``side`` pixels; the first epoch warms up."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "high_res")
        folder.mkdir()
        for number in range(images + 1):  # one more for validation
            coarse = random.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(coarse).resize((side, side)).save(folder / f"{number}.png")
        once, twice = (
            run(
                "data=isr", f"data.root={root}", "data.patch=null", f"data.batch_size={batch_size}", "data.repeat=4",
                "data.test_share=0", f"data.val_share={1 / (images + 1)}", "data.train_scored=0",
                "data.group_near_identical=false", f"trainer.max_epochs={epochs}",
            ).train_seconds
            for epochs in (1, 2)
        )  # fmt: skip
    return float(twice - once)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Plot the seconds over each setting, with a line from zero to the last point."""
    mpl.rcParams["svg.hashsalt"] = "sr"
    figure = Figure(figsize=(9, 3), layout="constrained")
    titles = {"images": "images", "side": "pixels of an image (thousands)", "batch_size": "batch"}
    for number, (name, title) in enumerate(titles.items()):
        axes = figure.add_subplot(1, len(titles), number + 1)
        x = [row["value"] ** 2 / 1000 if name == "side" else row["value"] for row in rows if row["axis"] == name]
        y = [row["seconds"] for row in rows if row["axis"] == name]
        axes.plot(x, y, "o-")
        if name != "batch_size":
            axes.plot([0, x[-1]], [0, y[-1]], ":", color="grey")
        axes.set(xlabel=title, ylabel="seconds per epoch" if number == 0 else None, ylim=(0, None), xlim=(0, None))
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, print a table, write it and plot it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings = [(axis, value) for axis, values in AXES.items() for value in values]
    measurements = {f"{axis}={value}": partial(epoch_seconds, **{**DEFAULTS, axis: value}) for axis, value in settings}
    medians = interleaved(measurements, options.rounds)
    rows = [{"axis": axis, "value": value, "seconds": medians[f"{axis}={value}"]} for axis, value in settings]
    save("growth", rows)
    plot(rows, RESULTS.parent / "docs" / "measured" / "growth.svg")


if __name__ == "__main__":
    main()
