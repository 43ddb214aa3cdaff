"""Time of `sr evaluate` on sets of the sizes of Set14, BSD100 and Urban100: images one by one, and side by side.

python -m scripts.bench.evaluate DIR               # folder of photographs; writes benchmarks/evaluate.json
python -m scripts.bench.evaluate DIR --threads 2   # two idle cores

The sets are stand-ins, cut and enlarged from the photographs of DIR by Pillow: their scores mean nothing. Before the
comparison, whose ways take turns, each stage is timed on an image of each size, in milliseconds of one thread as the
processor counts them, so that other processes disturb them little.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from PIL import Image

from scripts.bench.timing import interleaved, save
from sr.benchmark.evaluate import evaluate
from sr.benchmark.rows import Row
from sr.data.duplicates import hashes
from sr.data.pairs import derive_lr
from sr.image import crop_to_multiple, resize, to_float, to_levels
from sr.inference.enlarger import Enlarger
from sr.io.images import read_image
from sr.io.pictures import write_strips
from sr.machine.side_by_side import side_by_side
from sr.metrics import score
from sr.weights.find import find_model
from sr.weights.model import Model

SETS = {"Set14": (14, (512, 512)), "BSD100": (100, (481, 321)), "Urban100": (100, (1024, 768))}  # images, pixels
CPU = torch.device("cpu")


def stand_ins(photographs: list[Path], folder: Path, share: float) -> list[Path]:
    """Write a share of the images of each set into a folder of its own: crops, enlarged where photographs are small."""
    folders = []
    for name, (count, size) in SETS.items():
        folders.append(folder / name)
        folders[-1].mkdir()
        for number in range(max(1, round(share * count))):
            with Image.open(photographs[number % len(photographs)]) as file:
                image = file.convert("RGB")
            factor = max(wanted / side for wanted, side in zip(size, image.size, strict=True))
            if factor > 1:
                width, height = (round(factor * side) + 1 for side in image.size)
                image = image.resize((width, height), Image.Resampling.BICUBIC)
            image.crop((0, 0, *size)).save(folders[-1] / f"{number:03}.png")
    return folders


def stages(path: Path, model: Model, scale: int) -> dict[str, Callable[[], object]]:
    """What is done for an image, by name."""
    hr = crop_to_multiple(read_image(path), scale)
    lr, target, rows = derive_lr(hr, scale, 2)[None], to_float(hr[None]), hr.permute(1, 2, 0).numpy()
    enlarger = Enlarger(model, device="cpu", precision="float32")
    bicubic = partial(resize, to_float(lr).double(), scale)
    output, enlarged = bicubic(), enlarger.enlarge(lr, CPU)
    return {
        "decode": partial(read_image, path),
        "shrink": partial(derive_lr, hr, scale, 2),
        "find copies": partial(hashes, hr),
        "bicubic": bicubic,
        "score bicubic": partial(score, output, target, "y", scale),
        "network": partial(enlarger.enlarge, lr, CPU),
        "score network": partial(score, enlarged, target, "y", scale),
        "write a picture": lambda: write_strips(
            io.BytesIO(), ".png", [to_levels(hr, 8).permute(1, 2, 0).numpy()], rows.shape, deep=False
        ),
    }


def milliseconds(call: Callable[[], object]) -> float:
    """Processor time of this thread."""
    start = time.thread_time()
    call()
    return 1000 * (time.thread_time() - start)


@contextmanager
def one_by_one() -> Iterator[None]:
    """Score images one after the other, each with all threads of torch, as sr did before."""
    with patch("sr.benchmark.scoring.side_by_side", lambda *items, **options: side_by_side(*items, workers=1, most=0)):
        yield


def scored(models: list[Model], folders: list[Path], scale: int, threads: int) -> list[Row]:
    """Score all sets."""
    torch.set_num_threads(threads)
    return list(evaluate(models, folders, scale=scale, device="cpu", progress=False))


def seconds(call: Callable[[], list[Row]], outcomes: list[list[float]]) -> float:
    """Duration of scoring; the scores are added to ``outcomes``."""
    start = time.perf_counter()
    rows = call()
    outcomes.append([image.psnr for row in rows for image in row.images])
    return time.perf_counter() - start


def main() -> None:
    """Measure, print tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--models", nargs="+", default=["espcn_x2"])
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--share", type=float, default=1.0, help="of the images of each set")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    photographs = sorted(path for path in options.photographs.iterdir() if path.suffix == ".png")
    models = [find_model(name, options.scale) for name in options.models]
    with tempfile.TemporaryDirectory() as place:
        folders = stand_ins(photographs, Path(place), options.share)
        torch.set_num_threads(1)
        of_stages = {}
        for folder in folders:
            calls = stages(folder / "000.png", models[0], options.scale)
            of_stages[folder.name] = interleaved({name: partial(milliseconds, call) for name, call in calls.items()}, 7)
            print(folder.name, {name: round(value, 1) for name, value in of_stages[folder.name].items()}, flush=True)
        outcomes: list[list[float]] = []
        run = partial(scored, models, folders, options.scale)
        ways: dict[str, Callable[[], list[Row]]] = {
            "one by one, 1 thread": one_by_one()(partial(run, 1)),
            f"one by one, {options.threads} threads": one_by_one()(partial(run, options.threads)),
            f"side by side, {options.threads} threads": partial(run, options.threads),
        }
        medians = interleaved({way: partial(seconds, call, outcomes) for way, call in ways.items()}, options.rounds)
    last = list(medians.values())[-1]
    rows: list[dict[str, Any]] = [
        {"images": way, "seconds": value, "of side by side": value / last} for way, value in medians.items()
    ]
    apart = max(abs(value - first) for values in outcomes for value, first in zip(values, outcomes[0], strict=True))
    same = outcomes[0] == outcomes[2]
    print(f"scores of one thread and side by side are {'the same' if same else 'NOT the same'}")
    save(
        "evaluate",
        rows,
        milliseconds_of_stages=of_stages,
        models=options.models,
        scale=options.scale,
        share=options.share,
        psnr_apart=apart,
        same_scores_as_one_thread=same,
    )


if __name__ == "__main__":
    main()
