"""The effect of bfloat16 on the results of `sr predict`, for every network that ships with sr.

python -m scripts.bench.precision            # seconds on two cores; writes benchmarks/precision.json
python -m scripts.bench.precision --data Set5

The demo photographs, or the images of a folder, are downscaled like MATLAB's bicubic and enlarged in both precisions;
PSNR follows protocol y.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

from torch import Tensor

from scripts.bench.timing import save
from sr import load
from sr.data.pairs import load_pair
from sr.data.sources import demo_photographs, image_folder
from sr.image import to_float
from sr.inference.enlarger import Enlarger
from sr.metrics import score
from sr.terms import PRECISIONS
from sr.weights import zoo

_PRECISIONS = [precision for precision in PRECISIONS if precision != "auto"]


def compare(name: str, scale: int, pairs: list[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Enlarge the inputs of (input, target) pairs in both precisions; a row of means over the images."""
    psnr: dict[str, list[float]] = {precision: [] for precision in _PRECISIONS}
    moved_shares, furthest_level = [], 0
    models: dict[str, Enlarger] = {precision: load(name, scale, precision=precision) for precision in _PRECISIONS}
    for lr, hr in pairs:
        outputs = []
        for precision, model in models.items():
            outputs.append(model(lr))
            psnr[precision].append(score(to_float(outputs[-1])[None], to_float(hr)[None], "y", scale)["psnr"].item())
        change = (outputs[0].int() - outputs[1].int()).abs()
        moved_shares.append((change > 0).float().mean().item())
        furthest_level = max(furthest_level, int(change.max()))
    means = {precision: statistics.mean(values) for precision, values in psnr.items()}
    changes = [low - full for full, low in zip(*psnr.values(), strict=True)]
    return {
        "model": name,
        "scale": scale,
        **{f"PSNR {precision}": mean for precision, mean in means.items()},
        "change dB": statistics.mean(changes),
        "largest change dB": max(map(abs, changes)),
        "values moved %": 100 * statistics.mean(moved_shares),
        "furthest, levels": furthest_level,
    }


def main() -> None:
    """Enlarge, compare, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of images instead of the demo photographs")
    options = parser.parse_args()
    sources = image_folder(options.data) if options.data else demo_photographs()
    rows = []
    for entry in zoo.entries():
        for scale in entry.about["scales"]:
            rows.append(compare(entry.name, scale, [load_pair(source, scale, 2) for source in sources]))
            print(rows[-1], flush=True)
    save("precision", rows, data=options.data.name if options.data else "demo", images=len(sources))


if __name__ == "__main__":
    main()
