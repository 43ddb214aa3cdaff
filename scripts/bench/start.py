"""Time until commands answer, and until the first training step.

python -m scripts.bench.start            # writes benchmarks/start.json
"""

import argparse
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from lightning import Callback

from scripts.bench.timing import interleaved, save

ROOT = Path(__file__).parents[2]  # working folder from which a run can import this module
TRAIN = (sys.executable, "-m", "sr.train")
COMMANDS = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "sr --help": (str(Path(sys.executable).with_name("sr")), "--help"),
    "python -m sr.train --help": (*TRAIN, "--help"),
    "python -c 'import torch'": (sys.executable, "-c", "import torch"),
    "python -c 'import lightning'": (sys.executable, "-c", "import lightning"),
}
FIRST_STEP = "python -m sr.train, to the first step"


class Stop(Callback):
    """End the process after the first step."""

    def on_train_batch_end(self, *arguments: Any) -> None:
        """Exit immediately, since the rest is not start-up."""
        sys.stdout.flush()
        raise SystemExit(0)


def seconds(command: tuple[str, ...]) -> float:
    """Wall time of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def first_step() -> float:
    """Wall time of a run on the demo photographs that ends after its first step."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            (*TRAIN, f"hydra.run.dir={folder}/run", "+callbacks.stop._target_=scripts.bench.start.Stop"),
            cwd=ROOT, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        elapsed = time.perf_counter() - start
        if not Path(folder, "run", "result.json").is_file():
            sys.exit("the run did not start: try the command by hand")
        return elapsed


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    measurements = {name: partial(seconds, command) for name, command in COMMANDS.items()}
    medians = interleaved({**measurements, FIRST_STEP: first_step}, options.rounds)
    save("start", [{"command": name, "seconds": value} for name, value in medians.items()])


if __name__ == "__main__":
    main()
