"""Which network is best at equal budgets: each trains by one recipe for the same time, with several seeds.

python -m scripts.bench.tournament TRAINING Set5       # 5 hours of one core; the same command resumes it

First the time of a training step of each network is measured, in turns, on one thread; it gives the steps that fit into
the budget. Budgets are of steps, since a training of so many seconds could be neither resumed nor repeated. The recipe
is `experiment=resblock`. All networks train with two seeds, then all with the next, so that those of an interrupted
tournament can be compared. Each training is scored on the benchmark when it is done.

``benchmarks/tournament`` holds the records of the trainings, without weights: with them, the same command trains what
is missing, on any machine, and `sr report benchmarks/tournament` shows what there is.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import torch
from hydra.utils import instantiate

from scripts.bench.timing import composed, interleaved
from sr.data.batches import EpochDraws
from sr.io.atomic import write_text
from sr.io.run_folder import RunFolder
from sr.machine.hardware import precision

NETWORKS = ("fsrcnn", "resblock", "span", "rlfn", "compact")
SCALE, EPOCHS = 2, 10
RECIPE = ("experiment=resblock", f"scale={SCALE}", "data.cache=memory", "trainer=cpu", "trainer.threads=1")
_WARM_UP, _TIMED, _ROUNDS = 2, 5, 5


def seconds_per_step(model: str) -> float:
    """Mean time of some steps of the recipe on one batch in memory, without loading."""
    with composed(*RECIPE, f"model={model}") as config:
        net = instantiate(config.model).to(memory_format=torch.channels_last)
        loss, optimizer = instantiate(config.loss), instantiate(config.optimizer)(net.parameters())
        hr = torch.rand(config.data.batch_size, 3, config.data.patch, config.data.patch)
    lr = torch.nn.functional.avg_pool2d(hr, SCALE)
    in_bfloat16 = precision("cpu") == "bf16-mixed"
    for number in range(_WARM_UP + _TIMED):
        if number == _WARM_UP:
            start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
            value = loss(net(lr), hr)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return (time.perf_counter() - start) / _TIMED


def steps_within(minutes: float, models: list[str]) -> dict[str, int | str]:
    """How many steps of each network fit into the time, each measured as often, in turns; and in which precision."""
    torch.set_num_threads(1)
    seconds = interleaved({model: partial(seconds_per_step, model) for model in models}, _ROUNDS)
    return {"precision": precision("cpu"), **{model: round(60 * minutes / value) for model, value in seconds.items()}}


def draws(training: Path) -> EpochDraws:
    """The batches of the recipe: how many images and copies it trains on, and how many crops are in a batch."""
    with composed(*RECIPE, f"data.root={training}") as config:
        data = instantiate(config.data)
        data.setup("fit")
    sampler: EpochDraws = data.train_dataloader().sampler
    return sampler


def lasting(steps: int, sampler: EpochDraws) -> list[str]:
    """Options that make so many steps in all epochs: crops of an image in an epoch, and where its batches end."""
    batches = max(1, round(steps / EPOCHS))
    repeat = math.ceil(batches * sampler.batch_size / sampler.images)
    return [f"trainer.max_epochs={EPOCHS}", f"data.repeat={repeat}", f"trainer.limit_train_batches={batches}"]


def command(*arguments: str) -> None:
    """Run a command of sr, and end if it fails."""
    print("$", "sr", *arguments, flush=True)
    code = subprocess.run([Path(sys.executable).with_name("sr"), *arguments], check=False).returncode
    if code:
        sys.exit(code)


def main() -> None:
    """Measure, train, score and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--minutes", type=float, default=20, help="of one core, for each training")
    parser.add_argument("--seeds", type=int, default=3, help="2 or more")
    parser.add_argument("--models", nargs="+", default=list(NETWORKS))
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/tournament"))
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds: 2 or more are needed, since configurations are compared")
    options.output.mkdir(parents=True, exist_ok=True)
    budget = options.output / "steps.json"
    if not budget.is_file():
        write_text(budget, json.dumps(steps_within(options.minutes, options.models), indent=2) + "\n")
    steps = json.loads(budget.read_text(encoding="utf-8"))
    if missing := {"precision", *options.models} - steps.keys():
        sys.exit(f"{budget}: has no {', '.join(sorted(missing))}: it was measured without: choose another folder (-o)")
    sampler = draws(options.training)
    for seeds in range(2, options.seeds + 1):
        for model in options.models:
            command(
                "train", *RECIPE, f"trainer.precision={steps['precision']}", f"model={model}", f"seeds={seeds}",
                *lasting(steps[model], sampler), f"data.root={options.training}",
                f"hydra.run.dir={options.output / model}",
            )  # fmt: skip
            for training in RunFolder(options.output / model).seeds:
                if training.best.is_file() and not any(training.evaluations.glob("*")):
                    command("evaluate", str(training.path), "--data", str(options.benchmark))
    command("report", str(options.output))


if __name__ == "__main__":
    main()
