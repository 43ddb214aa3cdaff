"""What starting x3 from the weights of x2 gains: ESPCN trained for the same steps with and without ``init=espcn_x2``.

python -m scripts.bench.init TRAINING Set5          # about 12 minutes on one core; writes benchmarks/init.json

Both ways share everything else: recipe, images, steps, and for each seed the crops and their order. The steps behind
espcn_x2 come on top.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import torch

from scripts.bench.timing import composed, save
from sr.benchmark.evaluate import evaluate
from sr.runs.fit import fit
from sr.runs.schema import read_result
from sr.weights.find import find_model

WAYS = {"from scratch": "init=null", "from espcn_x2": "init=espcn_x2"}
SCALE = 3


def train(training: Path, benchmark: Path, *overrides: str) -> dict[str, Any]:
    """Train once: what the best checkpoint scores on the benchmark under protocol y, the steps, and those before."""
    with composed("experiment=espcn", f"scale={SCALE}", f"data.root={training}", *overrides) as config:
        fit(config)
        result = read_result(Path(config.run_dir))
        assert result is not None
        rows = list(evaluate([find_model(config.run_dir)], [benchmark], scale=SCALE))
    psnr, bicubic = (
        next(row.psnr for row in rows if row.is_reference is is_reference) for is_reference in (False, True)
    )
    initial = result.initial
    return {"psnr": psnr, "bicubic": bicubic, "steps": result.steps, "steps_before": initial.steps if initial else 0}


def main() -> None:
    """Train, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, nargs="+", default=[2])
    parser.add_argument("--repeat", type=int, default=24, help="crops of each image in an epoch")
    parser.add_argument("--batch-size", type=int, default=16, help="crops in a step; the recipe has 64")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for epochs in options.epochs:
        overrides = [
            f"trainer.max_epochs={epochs}",
            f"data.repeat={options.repeat}",
            f"data.batch_size={options.batch_size}",
        ]
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for seed in options.seeds:
            for way, override in WAYS.items():
                runs[way].append(train(options.training, options.benchmark, override, f"seed={seed}", *overrides))
                print(epochs, seed, way, runs[way][-1], flush=True)
        scratch = [run["psnr"] for run in runs["from scratch"]]
        for way, trained in runs.items():
            psnr = [run["psnr"] for run in trained]
            row = {"way": way, "steps": trained[0]["steps"], "steps before": trained[0]["steps_before"]}
            row |= {
                "PSNR dB": round(statistics.mean(psnr), 3),
                "gain dB": round(statistics.mean(psnr) - statistics.mean(scratch), 3),
            }
            row |= {f"seed {seed}": round(value, 3) for seed, value in zip(options.seeds, psnr, strict=True)}
            rows.append(row | {"bicubic": round(trained[0]["bicubic"], 3)})
    settings = {"benchmark": options.benchmark.name, "repeat": options.repeat, "batch_size": options.batch_size}
    save("init", rows, scale=SCALE, epochs=options.epochs, **settings)


if __name__ == "__main__":
    main()
