"""Squares of the images on which the runs differ most, side by side: input, outputs, target and errors."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr.report.board import Row
from sr.report.folders import Run

SAMPLES = "samples.png"  # written by `sr.callbacks.pictures.SampleCrops`
ERROR_GAIN = 4

_IMAGES = 4
_RUNS = 5

Pixels: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """A picture as a data URI, what it shows, its PSNR in dB (of the whole image), and its error as a data URI."""

    label: str
    picture: str
    psnr: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Strip:
    """The tiles of one image, and the difference in dB between its best and its worst run."""

    name: str
    spread: float
    tiles: list[Tile]


def strips(rows: Sequence[Row], problems: list[str]) -> list[Strip]:
    """The images with the largest spread of PSNR over the runs, as far as the runs kept squares of them.

    Shown are the best run, the best of every other model, and the last.
    """
    runs = [row.run for row in rows if row.run is not None]
    chosen = _choose(runs)
    kept = {run.name: _read(run, problems) for run in chosen}
    names = [name for name in runs[0].images if all(name in kept[run.name] for run in chosen)]
    spreads = {name: _spread(name, runs) for name in names}
    shown = sorted(names, key=lambda name: (-spreads[name], name))[:_IMAGES]
    return [_strip(name, spreads[name], chosen, [kept[run.name][name] for run in chosen]) for name in shown]


def _choose(runs: Sequence[Run]) -> list[Run]:
    best_of_model: dict[str, Run] = {}
    for run in runs:  # from the best to the worst
        best_of_model.setdefault(run.levels[0], run)
    chosen = list(best_of_model.values())[: _RUNS - 1]
    return chosen if runs[-1] in chosen else [*chosen, runs[-1]]


def _spread(name: str, runs: Sequence[Run]) -> float:
    values = [run.images[name]["psnr"] for run in runs]
    return max(values) - min(values)


def _read(run: Run, problems: list[str]) -> dict[str, tuple[Pixels, Pixels, Pixels]]:
    """Squares of input, output and target by the image's name, from the run's own folder or from its folds'."""
    found: dict[str, tuple[Pixels, Pixels, Pixels]] = {}
    patterns = (SAMPLES, f"fold_*/{SAMPLES}")
    for path in sorted(path for folder in run.folders for pattern in patterns for path in folder.glob(pattern)):
        try:
            found |= _cut(path)
        except (OSError, ValueError, KeyError, TypeError, Image.DecompressionBombError) as error:
            problems.append(f"{path}: left out, it is damaged ({' '.join(str(error).split())})")
    return found


def _cut(path: Path) -> dict[str, tuple[Pixels, Pixels, Pixels]]:
    with Image.open(path, formats=("PNG",)) as picture:
        layout = json.loads(picture.info["sr"])
        pixels: Pixels = np.asarray(picture.convert("RGB"))
    squares = {}
    for number, row in enumerate(layout["rows"]):
        top, side = number * layout["side"], row["side"]
        own, width = pixels[top : top + side], side
        squares[row["name"]] = (own[:, :width], own[:, width : 2 * width], own[:, 2 * width : 3 * width])
    return squares


def _strip(name: str, spread: float, runs: Sequence[Run], squares: Sequence[tuple[Pixels, Pixels, Pixels]]) -> Strip:
    source, _, target = squares[0]
    tiles = [Tile("input", _uri(source), runs[0].images[name]["input_psnr"], _error(source, target))]
    for run, (_, output, _) in zip(runs, squares, strict=True):
        tiles.append(Tile(run.name, _uri(output), run.images[name]["psnr"], _error(output, target)))
    return Strip(name, spread, [*tiles, Tile("target", _uri(target))])


def _error(output: Pixels, target: Pixels) -> str:
    difference = np.abs(output.astype(np.int16) - target.astype(np.int16)) * ERROR_GAIN
    return _uri(difference.clip(0, 255).astype(np.uint8))


def _uri(pixels: Pixels) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
