"""Time until commands answer, a small picture is enlarged, and the first training step is done.

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
from PIL import Image

from scripts.bench.timing import interleaved, save

ROOT = Path(__file__).parents[2]  # working folder from which a run can import this module
TRAIN, SR = (sys.executable, "-m", "sr.train"), str(Path(sys.executable).with_name("sr"))
COMMANDS = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "sr --help": (SR, "--help"),
    "python -m sr.train --help": (*TRAIN, "--help"),
    "python -c 'import torch'": (sys.executable, "-c", "import torch"),
    "python -c 'import lightning'": (sys.executable, "-c", "import lightning"),
}
MODELS = ("espcn_x2", "espcn_x2.onnx")
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


def predictions(folder: Path) -> dict[str, tuple[str, ...]]:
    """Commands that enlarge a small picture, by a network in torch and by the same in ONNX Runtime."""
    Image.new("RGB", (64, 64), "teal").save(folder / "small.png")
    subprocess.run((SR, "export", MODELS[0], "-o", folder / MODELS[1]), check=True, stdout=subprocess.DEVNULL)
    paths = {model: str(folder / model) if model.endswith(".onnx") else model for model in MODELS}
    rest = ("-o", str(folder / "large.png"), "--force")
    return {
        f"sr predict small.png -m {model}": (SR, "predict", str(folder / "small.png"), "-m", path, *rest)
        for model, path in paths.items()
    }


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
    with tempfile.TemporaryDirectory() as folder:
        commands = {**COMMANDS, **predictions(Path(folder))}
        measurements = {name: partial(seconds, command) for name, command in commands.items()}
        medians = interleaved({**measurements, FIRST_STEP: first_step}, options.rounds)
    save("start", [{"command": name, "seconds": value} for name, value in medians.items()])


if __name__ == "__main__":
    main()
