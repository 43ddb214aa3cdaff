"""Shared by the benchmarks: interleaved timing, images to train on, runs, and results as JSON with their machine."""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from PIL import Image

from sr.data.pairs import load_pair
from sr.data.sources import demo_photographs
from sr.io.atomic import write_text
from sr.io.tables import aligned
from sr.machine.environment import environment
from sr.machine.hardware import precision
from sr.runs.schema import RunResult, read_result

RESULTS = Path(__file__).parents[2] / "benchmarks"


def interleaved(measurements: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Take every measurement once per round, so that a slow minute affects all alike; the median of each."""
    values: dict[str, list[float]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            values[name].append(measure())
    return {name: statistics.median(results) for name, results in values.items()}


def rate(step: Callable[[], int], seconds: float) -> float:
    """Sum of the values of ``step`` per second, over at least ``seconds`` and two steps, after a warm-up step."""
    step()
    total, steps, start = 0, 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds or steps < 2:
        total, steps = total + step(), steps + 1
    return total / elapsed


@contextmanager
def photographs() -> Iterator[Path]:
    """A temporary folder for `data=isr`: the demo photographs in tiles of 256x256, as PNG files."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "high_res")
        folder.mkdir()
        for source in demo_photographs():
            hr = load_pair(source, 1, 2)[1]
            Image.fromarray(hr.permute(1, 2, 0).numpy()).save(folder / f"{Path(source.name).name}.png")
        yield Path(root)


@contextmanager
def composed(*overrides: str) -> Iterator[DictConfig]:
    """Compose the config of a run in a temporary folder."""
    from hydra import compose, initialize_config_dir

    from sr.train import config_dir

    with tempfile.TemporaryDirectory() as folder, initialize_config_dir(str(config_dir()), version_base="1.3"):
        yield compose("train", [f"run_dir={folder}", *overrides])


def run(*overrides: str) -> RunResult:
    """Train in this process as ``python -m sr.train`` does, in a temporary folder; returns the result."""
    from sr.runs.fit import fit

    with composed(*overrides) as config:
        fit(config)
        result = read_result(Path(config.run_dir))
        assert result is not None
        return result


def machine() -> dict[str, Any]:
    """The machine, its load and the versions that a benchmark ran with."""
    load = os.getloadavg()[0]
    return asdict(environment()) | {"cores": os.cpu_count(), "precision_auto": precision("auto"), "load": load}


def save(name: str, rows: list[dict[str, Any]], **extra: Any) -> None:
    """Print rows as a table and write them, with the machine, as ``benchmarks/NAME.json``."""
    header = tuple(rows[0])
    table = [header, *(tuple(_cell(row.get(column)) for column in header) for row in rows)]
    print("\n".join(aligned(table)))
    text = json.dumps({"rows": rows, **extra, "machine": machine()}, indent=2)
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / f"{name}.json", text + "\n")
    print(f"written: {RESULTS / f'{name}.json'}")


def device() -> torch.device:
    """The GPU if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
