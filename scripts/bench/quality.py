"""The effect of each speed option on quality: the same runs with and without it.

python -m scripts.bench.quality          # about 45 minutes on two cores; writes benchmarks/quality.json

Trains on the demo photographs with several seeds: in float32 (the reference), in bfloat16, and compiled; with the VGG
loss (random features), whose features may stay in float32 while the network uses bfloat16.
"""

import argparse
import statistics
from typing import Any

from scripts.bench.timing import run, save
from sr.terms import Part

FLOAT32, BFLOAT16 = "trainer.precision=32-true", "trainer.precision=bf16-mixed"
PIXEL_LOSS = {
    "float32": [FLOAT32, "trainer.compile=false"],
    "bfloat16": [BFLOAT16, "trainer.compile=false"],
    "float32, compiled": [FLOAT32, "trainer.compile=true"],
}
VGG = {
    "float32": ["vgg_weights=random", FLOAT32],
    "bfloat16": ["vgg_weights=random", BFLOAT16],
    "bfloat16, features in float32": ["vgg_weights=random", BFLOAT16, "loss.float32=true"],
}


def main() -> None:
    """Train, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["espcn"])
    parser.add_argument("--losses", nargs="+", default=["mse", "vgg"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for model in options.models:
        for loss in options.losses:
            ways = VGG if loss == "vgg" else PIXEL_LOSS
            scores: dict[str, list[float]] = {way: [] for way in ways}
            for seed in options.seeds:
                for way, overrides in ways.items():
                    result = run(
                        f"model={model}", f"loss={loss}", f"seed={seed}", "data.seed=23", "data.repeat=8",
                        f"trainer.max_epochs={options.epochs}", *overrides,
                    )  # fmt: skip
                    scores[way].append(result.scores[Part.VAL]["psnr"].mean)
            for way, psnr in scores.items():
                changes = [value - reference for value, reference in zip(psnr, scores["float32"], strict=True)]
                row = {"model": model, "loss": loss, "way": way, "psnr": statistics.mean(psnr)}
                rows.append(row | {"change dB": statistics.mean(changes), "largest change dB": max(map(abs, changes))})
                print(rows[-1], flush=True)
    save("quality", rows, seeds=options.seeds, epochs=options.epochs)


if __name__ == "__main__":
    main()
