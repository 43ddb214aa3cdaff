"""What each choice for speed costs in quality: the same runs with and without it.

python scripts/bench_quality.py          # about 20 minutes on two cores; writes benchmarks/quality.json

Trains on the demo photographs with several seeds: in float32 (the reference), in bfloat16, and compiled.
"""

import argparse
import statistics
from typing import Any

from benchmark import run, save

WAYS = {
    "float32": ["trainer.precision=32-true", "trainer.compile=false"],
    "bfloat16": ["trainer.precision=bf16-mixed", "trainer.compile=false"],
    "float32, compiled": ["trainer.precision=32-true", "trainer.compile=true"],
}


def main() -> None:
    """Train, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["espcn"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for model in options.models:
        scores: dict[str, list[float]] = {way: [] for way in WAYS}
        for seed in options.seeds:
            for way, overrides in WAYS.items():
                epochs = f"trainer.max_epochs={options.epochs}"
                result = run(f"model={model}", f"seed={seed}", "data.seed=23", epochs, *overrides)
                scores[way].append(result["scores"]["val"]["psnr"]["mean"])
        for way, psnr in scores.items():
            change = [ours - plain for ours, plain in zip(psnr, scores["float32"], strict=True)]
            rows.append(
                {"model": model, "way": way, "psnr": statistics.mean(psnr), "change dB": statistics.mean(change)}
                | {"largest change dB": max(map(abs, change))}
            )
            print(rows[-1], flush=True)
    save("quality", rows, seeds=options.seeds, epochs=options.epochs)


if __name__ == "__main__":
    main()
