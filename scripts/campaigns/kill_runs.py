"""Kill training again and again, start it again by the same command, and compare its end with that of an unharmed one.

python -m scripts.campaigns.kill_runs              # about 20 minutes on two cores; writes benchmarks/kills.json
python -m scripts.campaigns.kill_runs --kinds run --kills 5

Each round trains small networks in a fresh folder: one run, two folds, a grid, a grid whose cells run in parallel, or a
search. Its processes are killed at random moments (while they start, train, validate, or as soon as a file is seen
being written), most by SIGKILL, some by SIGTERM, and the same command is given again until it ends by itself. Then all
that the two folders hold must be equal: the last and the best checkpoint bit for bit (weights, optimizer, schedule,
averages, random states), the tables but for their seconds, the curves of TensorBoard but for their times, and the
trials of a search. Exit code 1 if anything differs.
"""

import argparse
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.progress import Progress
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scripts.bench.timing import save
from sr.io.tables import read_table

# Checkpoints between all steps, dropout and averages for their states, and a validation about as long as an epoch.
SMALL = (
    *("data=isr", "data.patch=32", "data.repeat=1", "data.batch_size=2", "data.val_share=0.4", "data.train_scored=1"),
    *("model=autoencoder", "model.channels=4", "model.dropout=0.3", "callbacks=ema", "callbacks.checkpoints.minutes=0"),
    *("trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.log_every_n_steps=1", "trainer.max_epochs=4"),
)
KINDS = {
    "run": (),
    "folds": ("data.fold=all", "data.folds=2", "trainer.max_epochs=2"),
    "grid": ("loss=mse,mae", "optimizer=adam,sgd", "trainer.max_epochs=2"),
    "parallel grid": ("loss=mse,mae", "optimizer=adam,sgd", "trainer.max_epochs=2", "hydra/launcher=joblib"),
    "search": ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "optimizer.lr=interval(1e-4,1e-3)"),
}
_SWEEPS = ("grid", "parallel grid", "search")
_NOT_COMPARED = ("seconds", "time/")
_PATIENCE = 300.0  # seconds that one start may take


def make_images(root: Path, count: int = 14) -> Path:
    """A folder as `data=isr` takes it."""
    values = np.random.default_rng(0)
    (root / "high_res").mkdir(parents=True)
    for number in range(count):
        coarse = Image.fromarray(values.integers(0, 256, (6, 8, 3), np.uint8))
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(root / "high_res" / f"{number}.png")
    return root


def command(kind: str, root: Path, folder: Path) -> list[str]:
    """The command of a kind, into a folder."""
    words = [*SMALL, *KINDS[kind], f"data.root={root}", f"data.cache_dir={root / 'cache'}"]
    mode, place = ("-m", "hydra.sweep.dir") if kind in _SWEEPS else ("--run", "hydra.run.dir")
    return [sys.executable, "-m", "sr.train", mode, *words, f"{place}={folder}"]


def begin(line: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own."""
    with log.open("ab") as file:
        return subprocess.Popen(line, cwd=log.parent, stdout=file, stderr=file, start_new_session=True)


def finish(line: list[str], folder: Path) -> None:
    """Start a command and let it end.

    Raises:
        RuntimeError: if it ends with an error.
        subprocess.TimeoutExpired: if it does not end.
    """
    _end(begin(line, _log(folder)), line, folder)


def survive(line: list[str], folder: Path, kills: int, draw: random.Random) -> Iterator[str]:
    """Start a command, kill it up to so many times, and let it end; say where each kill hit.

    Raises:
        RuntimeError, subprocess.TimeoutExpired: as `finish`.
    """
    for _ in range(kills):
        process = begin(line, _log(folder))
        where = _kill(process, folder, draw)
        if where is None:
            return _end(process, line, folder)
        yield where
    finish(line, folder)


def _log(folder: Path) -> Path:
    return folder.with_suffix(".log")


def _end(process: subprocess.Popen[bytes], line: list[str], folder: Path) -> None:
    if process.wait(_PATIENCE) != 0:
        raise RuntimeError(f"{' '.join(line)}: ended with {process.returncode}\n{_log(folder).read_text()}")


def _kill(process: subprocess.Popen[bytes], folder: Path, draw: random.Random) -> str | None:
    """Kill a process at a random moment; where it hit, or None if it ended before."""
    moment = draw.choice(["starting", "training", "training", "writing"])
    number = signal.SIGTERM if draw.random() < 0.2 else signal.SIGKILL
    before = _newest(folder)
    deadline = time.monotonic() + _PATIENCE
    if moment == "starting":
        time.sleep(draw.uniform(0, 4))
    else:
        while process.poll() is None and _newest(folder) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        until = time.monotonic() + draw.uniform(0, 2)
        while process.poll() is None and time.monotonic() < until:
            if moment == "writing" and any(folder.rglob("*.tmp")):
                break
    if process.poll() is not None:
        return None
    if draw.random() < 0.5:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)  # what it started has to notice by itself
    process.wait(_PATIENCE)
    half = [path.name.split(".")[1] for path in folder.rglob("*.tmp")]
    where = f"writing {half[0]}" if half else moment if moment == "starting" else "training or validating"
    return f"{where}, {signal.Signals(number).name}"


def _newest(folder: Path) -> float:
    """When a checkpoint below a folder was last written."""
    return max((path.stat().st_mtime for path in folder.rglob("last.ckpt")), default=0.0)


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two folders of runs."""
    found = []
    runs = [sorted(path.parent.relative_to(side) for path in side.rglob("result.json")) for side in (one, other)]
    if runs[0] != runs[1]:
        return [f"runs: {runs[0]} and {runs[1]}"]
    for run in runs[0]:
        for name in ("checkpoints/last.ckpt", "checkpoints/best.ckpt"):
            files = [side / run / name for side in (one, other)]
            if any(file.is_file() for file in files):
                loaded = [torch.load(file, weights_only=True) for file in files]
                found += [f"{run}/{name}: {place}" for place in _unequal(_compared(loaded[0]), _compared(loaded[1]))]
        for name in ("metrics.csv", "images.csv"):
            tables = [_table(side / run / name) for side in (one, other)]
            if tables[0] != tables[1]:
                found.append(f"{run}/{name}")
        curves = [_curves(side / run) for side in (one, other)]
        found += [
            f"{run}: curve {tag}"
            for tag in sorted({*curves[0], *curves[1]})
            if curves[0].get(tag) != curves[1].get(tag)
        ]
    trials = [_trials(side) for side in (one, other)]
    return found + ([f"trials: {trials[0]} and {trials[1]}"] if trials[0] != trials[1] else [])


def _compared(state: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint without what tells when and where it was made."""
    callbacks = {
        name: value for name, value in state["callbacks"].items() if not name.startswith(("Timing", "RunCheck"))
    }
    tables = {name: value for name, value in callbacks.items() if name.startswith("EpochTable")}
    for value in tables.values():
        value["rows"] = [{key: cell for key, cell in row.items() if key != "seconds"} for row in value["rows"]]
    kept = ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "random", "epoch", "global_step")
    return {**{name: state.get(name) for name in kept}, "callbacks": callbacks}


def _unequal(one: Any, other: Any, place: str = "") -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from _unequal(one[name], other[name], f"{place}.{name}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from _unequal(*pair, f"{place}.{number}")
    elif isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if not torch.equal(one, other):
            yield place
    elif one != other:
        yield place


def _table(path: Path) -> list[dict[str, str]]:
    rows = read_table(path) if path.is_file() else []
    return [{name: cell for name, cell in row.items() if not name.startswith(_NOT_COMPARED)} for row in rows]


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of each new start
    events = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith(_NOT_COMPARED)]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def _trials(folder: Path) -> list[tuple[object, ...]]:
    journal = folder / "study.journal"
    if not journal.is_file():
        return []
    import optuna
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
    study = storage.get_all_studies()[0]
    return [(one.number, one.state.name, one.params, one.values) for one in storage.get_all_trials(study._study_id)]


def main() -> None:
    """Kill, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--kills", type=int, default=105, help="in all")
    parser.add_argument("--each", type=int, default=5, help="kills in a round")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    share = -(-options.kills // len(options.kinds))
    rows: list[dict[str, Any]] = []
    different = False
    with tempfile.TemporaryDirectory() as place, Progress(transient=True) as progress:
        bar = progress.add_task("kills", total=share * len(options.kinds))
        root = make_images(Path(place, "data"))
        for kind in options.kinds:
            whole = Path(place, f"{kind} unharmed")
            finish(command(kind, root, whole), whole)
            hits: Counter[str] = Counter()
            rounds = equal = 0
            while hits.total() < share:
                folder = Path(place, f"{kind} {rounds}")
                wanted = min(options.each, share - hits.total())
                for where in survive(command(kind, root, folder), folder, wanted, draw):
                    hits[where] += 1
                    progress.advance(bar)
                rounds += 1
                found = differences(whole, folder)
                equal += not found
                for one in found:
                    different = True
                    progress.console.print(f"{folder.name}: differs in {one}", markup=False)
            rows.append({"what": kind, "rounds": rounds, "kills": hits.total(), "rounds that ended equal": equal})
            rows[-1]["hit while"] = dict(sorted(hits.items()))
            save("kills", rows)
    sys.exit(different)


if __name__ == "__main__":
    main()
