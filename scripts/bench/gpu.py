"""GPU utilisation during training, and the time of the origin project's whole grid.

python -m scripts.bench.gpu              # about 5 minutes on one H100; writes benchmarks/gpu.json
python -m scripts.bench.gpu --grid       # trains the grid; writes benchmarks/gpu_grid.json
python -m scripts.bench.gpu --grid --device cpu --small --out /tmp/grid.json    # the same way, in a minute

Utilisation: every network is trained with every loss by python -m sr.train on full images of 256x256, 16 per step. It
is three times the operations of the forward pass (forward, backward by input, backward by weight; for the VGG loss also
two forward passes of its features and one backward by input) per second, relative to a matrix product in bfloat16. The
rate is that of the steps after the first 50, between two moments at which the GPU has finished.

Grid: 27 cells, 5 folds, 10 epochs, on 560 images of 256x256, by one command, as a user starts it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from scripts.bench.steady import rate_in, steady
from scripts.bench.timing import photographs, run, save
from sr.data.pairs import load_pair
from sr.data.sources import demo_photographs
from sr.runs.schema import read_result
from sr.terms import Part

NETWORKS = ("espcn", "autoencoder", "vdsr")
LOSSES = {"mse": ["loss=mse"], "mae": ["loss=mae"], "vgg": ["loss=vgg", "vgg_weights=random"]}
VGG_OPERATIONS = 2 * 17.0e9  # one forward pass up to relu4_3 on 256x256

GRID = {
    "model": ["espcn_origin", "autoencoder_origin", "vdsr"],
    "loss": ["mse", "mae", "vgg_origin"],
    "optimizer": ["adam_origin", "sgd_origin", "rmsprop_origin"],
}
SMALL_GRID = {"model": ["espcn_origin", "autoencoder_origin"], "loss": ["mse", "mae"], "optimizer": ["adam_origin"]}


def peak(side: int, device: torch.device) -> float:
    """Operations per second of a square matrix product in bfloat16, the best of several."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(5):
            a @ b
        if a.is_cuda:
            torch.cuda.synchronize()
        best = max(best, 5 * 2 * side**3 / (time.perf_counter() - start))
    return best


def rates(options: argparse.Namespace) -> None:
    """Measure the utilisation, print a table and write it."""
    device = torch.device(options.device)
    steps, first = (6, 2) if options.small else (options.steps, 50)
    peak_rate = peak(256 if options.small else 8192, device)
    rows: list[dict[str, Any]] = []
    with photographs() as root, tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rate.json")
        for model, loss in [("espcn", "mse")] if options.small else product(NETWORKS, LOSSES):
            result = run(
                "data=isr", f"data.root={root}", f"model={model}", *LOSSES[loss], "data.patch=null",
                "data.test_share=0", "data.repeat=1000", "data.train_scored=0", "trainer.max_epochs=1",
                f"+trainer.max_steps={steps}", f"trainer={_trainer(options)}", f"trainer.compile={options.compile}",
                "trainer.limit_val_batches=1", steady(path, steps, first),
            )  # fmt: skip
            rate = rate_in(path)
            operations = 3 * 2 * result.multiply_adds + (3 * VGG_OPERATIONS if loss == "vgg" else 0)
            rows.append(
                {
                    "model": model,
                    "loss": loss,
                    "images/s": rate,
                    "utilisation": rate * operations / peak_rate,
                    "waiting %": 100 * result.wait_share,
                    "memory GiB": result.peak_memory_bytes / 2**30,
                    "precision": result.precision,
                }
            )
            print(rows[-1], flush=True)
    save(_name(options, "gpu"), rows, peak_bfloat16_per_second=peak_rate)


def grid(options: argparse.Namespace) -> None:
    """Train the grid by one command, print what each cell reached, and write it with the time of all."""
    choices, folds, epochs = (SMALL_GRID, 2, 1) if options.small else (GRID, 5, 10)
    count, side = (10, 48) if options.small else (560, 256)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_images(place / "images" / "high_res", count, side)
        command = [
            sys.executable, "-m", "sr.train", "-m", "experiment=origin_grid", "data=isr",
            f"data.root={place / 'images'}", f"data.folds={folds}", f"trainer={_trainer(options)}",
            f"trainer.max_epochs={epochs}", "vgg_weights=random", "logger=none", f"hydra.sweep.dir={place / 'grid'}",
            *(f"{group}={','.join(names)}" for group, names in choices.items()), *options.override,
        ]  # fmt: skip
        begun = time.perf_counter()
        subprocess.run(command, check=True, cwd=place)
        seconds = time.perf_counter() - begun
        rows = [_cell(path.parent) for path in sorted((place / "grid").glob("*/result.json"))]
    expected = int(np.prod([len(names) for names in choices.values()]))
    unfinished = expected - sum(row["status"] == "done" for row in rows)
    save(_name(options, "gpu_grid"), rows, seconds=seconds, command=command[1:], cells=expected, unfinished=unfinished)
    print(f"{expected} cells, {folds} folds, {epochs} epochs, {count} images: {seconds / 60:.1f} minutes")
    if unfinished:
        sys.exit(f"{unfinished} of {expected} cells are not done")


def _cell(folder: Path) -> dict[str, Any]:
    result = read_result(folder)
    assert result is not None
    scores = {f"val {name}": result.mean(Part.VAL, name) for name in ("psnr", "gain")}
    about = {"cell": folder.name, "status": str(result.status), "device": result.device}
    return {**about, **scores, "seconds": result.seconds, "waiting %": 100 * result.wait_share}


def write_images(folder: Path, count: int, side: int) -> None:
    """Write random squares of the demo photographs as PNG files; they all differ."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    photos = [load_pair(source, 1, 2)[1].permute(1, 2, 0).numpy() for source in demo_photographs()]
    for number in range(count):
        photo = photos[number % len(photos)]
        top, left = (int(random.integers(0, length - side + 1)) for length in photo.shape[:2])
        noise = random.integers(-8, 9, (side, side, 3))  # so that no two are copies of one photograph
        pixels = (photo[top : top + side, left : left + side] + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04}.png")


def _trainer(options: argparse.Namespace) -> str:
    return "gpu" if options.device == "cuda" else "cpu"


def _name(options: argparse.Namespace, usual: str) -> str:
    """The name under `benchmarks/`, or an absolute path, without its suffix."""
    return str(options.out.absolute().with_suffix("")) if options.out else usual


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", action="store_true", help="train the origin project's grid instead")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="little of everything, to see that it works; needs --out")
    parser.add_argument("--out", type=Path, help="JSON file to write instead of that in benchmarks/")
    parser.add_argument("--steps", type=int, default=300, help="of each measurement of the utilisation")
    parser.add_argument("--compile", default="auto")
    parser.add_argument("override", nargs="*", help="options of the grid, such as hydra/launcher=joblib")
    options = parser.parse_args()
    if options.small and not options.out:
        parser.error("--small measures nothing worth keeping in benchmarks/: name another file with --out")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU was found: --device cpu --small shows that the command works")
    (grid if options.grid else rates)(options)


if __name__ == "__main__":
    main()
