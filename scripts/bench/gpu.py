"""GPU utilisation during training, and the time that the origin project's full grid would take.

python -m scripts.bench.gpu              # about 5 minutes on one H100; writes benchmarks/gpu.json

Every network is trained with every loss by python -m sr.train on full images of 256x256, 16 per step. Utilisation is
three times the operations of the forward pass (forward, backward by input, backward by weight; for the VGG loss also
two forward passes of its features and one backward by input) per second, relative to a matrix product in bfloat16. The
time of the grid (27 cells, 5 folds, 10 epochs, 560 images) is extrapolated from these speeds, assuming equally fast
optimizers, plus the time that a run needs besides its steps.
"""

import argparse
import time
from typing import Any

import torch

from scripts.bench.timing import device, photographs, run, save

NETWORKS = ("espcn", "autoencoder", "vdsr")
LOSSES = {"mse": ["loss=mse"], "mae": ["loss=mae"], "vgg": ["loss=vgg", "vgg_weights=random"]}
OPTIMIZERS, FOLDS, EPOCHS, IMAGES = 3, 5, 10, 560
VGG_OPERATIONS = 2 * 17.0e9  # one forward pass up to relu4_3 on 256x256


def peak(side: int) -> float:
    """Operations per second of a square matrix product in bfloat16, the best of several."""
    a, b = (torch.randn(side, side, device=device(), dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(5):
            a @ b
        if a.is_cuda:
            torch.cuda.synchronize()
        best = max(best, 5 * 2 * side**3 / (time.perf_counter() - start))
    return best


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--side", type=int, default=8192, help="side of the matrices that measure the peak")
    parser.add_argument("--compile", default="auto")
    options = parser.parse_args()
    peak_rate = peak(options.side)
    rows: list[dict[str, Any]] = []
    with photographs() as root:
        for model in NETWORKS:
            for loss, overrides in LOSSES.items():
                result = run(
                    "data=isr", f"data.root={root}", f"model={model}", *overrides, "data.patch=null",
                    "data.test_share=0", "data.repeat=1000", "data.train_scored=0", "trainer.max_epochs=1",
                    f"+trainer.max_steps={options.steps}", f"trainer.compile={options.compile}",
                )  # fmt: skip
                rate = result.images_per_second
                operations = 3 * 2 * result.multiply_adds + (3 * VGG_OPERATIONS if loss == "vgg" else 0)
                rows.append(
                    {
                        "model": model,
                        "loss": loss,
                        "images/s": rate,
                        "utilisation": rate * operations / peak_rate,
                        "waiting %": 100 * result.wait_share,
                        "memory GiB": result.peak_memory_bytes / 2**30,
                        "beside steps s": result.seconds - result.train_seconds,
                        "precision": result.precision,
                    }
                )
                print(rows[-1], flush=True)
    seconds = sum(OPTIMIZERS * FOLDS * (EPOCHS * IMAGES / row["images/s"] + row["beside steps s"]) for row in rows)
    print(f"the origin project's grid, run by run: {seconds / 60:.1f} minutes")
    save("gpu", rows, peak_bfloat16_per_second=peak_rate, grid_seconds=seconds)


if __name__ == "__main__":
    main()
