"""Time to enlarge a large image in the tiles that sr chooses on a CPU, and in tiles of other sizes.

python -m scripts.bench.tiles            # about 20 minutes; writes benchmarks/tiles.json
python -m scripts.bench.tiles --precisions float32 --models espcn_x2

Seconds of one thread, as the processor counts them, so that other processes disturb them little; medians of interleaved
rounds. EDSR-baseline has random weights.
"""

import argparse
import time
from functools import partial
from typing import Any

import torch
from hydra.utils import instantiate

from scripts.bench.timing import composed, interleaved, save
from sr.inference.enlarger import Enlarger
from sr.weights.find import find_model
from sr.weights.model import Model

SCALE = 2
MODELS = ("espcn_x2", "vdsr", "edsr")


def model(name: str) -> Model:
    """A shipped model, or EDSR-baseline."""
    if name != "edsr":
        return find_model(name, SCALE)
    with composed("model=edsr", f"scale={SCALE}") as config:
        return Model("edsr", SCALE, [instantiate(config.model).eval()])


def seconds(enlarger: Enlarger, image: torch.Tensor) -> float:
    """Processor time of this thread for an image."""
    start = time.thread_time()
    enlarger(image)
    return time.thread_time() - start


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--precisions", nargs="+", default=["bfloat16", "float32"])
    parser.add_argument("--tiles", nargs="+", type=int, default=[256], help="to compare with")
    parser.add_argument("--side", type=int, default=1024, help="of the input")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, options.side, options.side), dtype=torch.uint8, generator=generator)
    rows: list[dict[str, Any]] = []
    for name in options.models:
        found = model(name)
        for precision in options.precisions:
            chosen = Enlarger(found, device="cpu", precision=precision)
            ways = {"chosen": chosen}
            ways |= {str(tile): Enlarger(found, tile=tile, device="cpu", precision=precision) for tile in options.tiles}
            outputs = {way: enlarger(image).int() for way, enlarger in ways.items()}  # a warm-up, too
            medians = interleaved({way: partial(seconds, ways[way], image) for way in ways}, options.rounds)
            for way, value in medians.items():
                row = {"model": name, "precision": precision, "tile": ways[way].tile_of(image[None]), "seconds": value}
                row["of chosen"] = value / medians["chosen"]
                rows.append(row | {"levels apart": int((outputs[way] - outputs["chosen"]).abs().max())})
                print(rows[-1], flush=True)
    save("tiles", rows, scale=SCALE, side=options.side, threads=1)


if __name__ == "__main__":
    main()
