"""How long a training takes until it scores on Set5 what a paper has published.

python -m scripts.bench.time_to_quality TRAINING Set5     # some hours on two idle cores
python -m scripts.bench.time_to_quality TRAINING Set5 --only "ESPCN x3"

The clock starts with the command, so that imports, decoding and validation count, and stops when a validation on the
benchmark (PSNR under protocol y) reaches the published value; the training is then ended. Every row is the median over
seeds; writes benchmarks/time_to_quality.json. A benchmark must not choose a network: these trainings are for the clock
alone.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench.timing import save
from sr.io.tables import read_table

_POLL = 0.2  # seconds
_LAST_WORDS = 60.0  # seconds for an interrupted training to end


@dataclass(frozen=True)
class Goal:
    """A published PSNR on Set5, and the training that shall reach it.

    Attributes:
        paper: name of the published network.
        scale: factor of the sides.
        psnr: published, in dB under protocol y.
        network: what is trained.
        overrides: of the command line: the recipe and its budget.
    """

    paper: str
    scale: int
    psnr: float
    network: str
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        """As in ``ESPCN x3``."""
        return f"{self.paper} x{self.scale}"


def _small(blocks: int, repeat: int, epochs: int) -> tuple[str, ...]:
    """A smaller network, and a training of ``18 * repeat * epochs`` steps."""
    return (
        "experiment=resblock", f"model.num_blocks={blocks}", "data.augment.sizes=[]", f"data.repeat={repeat}",
        f"trainer.max_epochs={epochs}",
    )  # fmt: skip


_SOON = ("optimizer.lr=3e-3", "scheduler.warmup=0.1")  # for a few hundred steps

GOALS = (
    Goal("ESPCN", 3, 32.55, "resblock, 2 blocks", (*_small(2, 2, 12), *_SOON)),
    Goal("FSRCNN", 2, 37.00, "resblock, 4 blocks", _small(4, 8, 20)),
    Goal("VDSR", 2, 37.53, "resblock", ("experiment=resblock",)),
    Goal("VDSR", 3, 33.66, "resblock", ("experiment=resblock",)),
    Goal("VDSR", 4, 31.35, "resblock", ("experiment=resblock",)),
)


def measure(goal: Goal, training: Path, benchmark: Path, seed: int) -> dict[str, float]:
    """Train until the goal is reached: seconds (infinite if it is not), steps, and the best PSNR seen."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [
            *(sys.executable, "-m", "sr.train", *goal.overrides, f"scale={goal.scale}", f"seed={seed}"),
            *(f"data.root={training}", f"data.val_root={benchmark}", "data.cache=memory", f"hydra.run.dir={run}"),
        ]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        seconds, seen = float("inf"), 0
        rows: list[dict[str, str]] = []
        while seconds == float("inf"):
            ended = process.poll() is not None
            rows = read_table(run / "metrics.csv") if (run / "metrics.csv").is_file() else []
            if any(float(row["val/psnr"]) >= goal.psnr for row in rows[seen:]):
                seconds = time.perf_counter() - start
            elif ended:
                break
            seen = len(rows)
            time.sleep(_POLL)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(_LAST_WORDS)
        elif seconds == float("inf") and process.returncode:
            sys.exit(f"{goal.name}: the training failed: {' '.join(command)}")
    best = max(float(row["val/psnr"]) for row in rows)
    return {"seconds": seconds, "steps": int(rows[-1]["step"]), "best": best}


def main() -> None:
    """Train, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", choices=[goal.name for goal in GOALS], metavar="GOAL")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for goal in GOALS:
        if options.only and goal.name not in options.only:
            continue
        measured = [measure(goal, options.training, options.benchmark, seed) for seed in options.seeds]
        row = {"published": goal.name, "dB": goal.psnr, "network": goal.network}
        row |= {name: statistics.median(values[name] for values in measured) for name in measured[0]}
        rows.append(row | {"all_seconds": [round(values["seconds"], 1) for values in measured]})
        print(rows[-1], flush=True)
    save("time_to_quality", rows, seeds=options.seeds)


if __name__ == "__main__":
    main()
