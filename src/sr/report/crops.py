"""Crops of the images on which the configurations differ most: input, outputs, target and absolute errors."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from sr.io.run_folder import RunFolder
from sr.io.samples import Crop, Crops, read_samples
from sr.report.board import Row
from sr.report.run import Configuration, Run

ERROR_GAIN = 4  # amplification of the error images

_MAX_IMAGES = 4
_MAX_RUNS = 5


@dataclass(frozen=True)
class Tile:
    """A crop as a data URI, its label, the PSNR of its whole image in dB, and its error as a data URI."""

    label: str
    picture: str
    psnr: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Strip:
    """The tiles of one image, and the difference in PSNR between its best and its worst configuration, in dB."""

    name: str
    spread: float
    tiles: list[Tile]


def strips(rows: Sequence[Row], problems: list[str]) -> list[Strip]:
    """Show the images with the largest spread of PSNR over the configurations, if their runs kept crops of them.

    Each strip shows the best configuration, the best one of every other model, and the worst one, by its first run.

    Args:
        rows: the leaderboard.
        problems: gets a line for each file that cannot be read.
    """
    configurations = [row.configuration for row in rows if row.configuration is not None]
    chosen = _choose(configurations)
    crops = [_read(configuration.runs[0], problems) for configuration in chosen]
    shown = [
        set(of_run) & set(configuration.runs[0].images) for configuration, of_run in zip(chosen, crops, strict=True)
    ]
    names = [name for name in configurations[0].images if all(name in of_run for of_run in shown)]
    spreads = {name: _spread(name, configurations) for name in names}
    widest = sorted(names, key=lambda name: (-spreads[name], name))[:_MAX_IMAGES]
    return [_strip(name, spreads[name], chosen, [of_run[name] for of_run in crops]) for name in widest]


def _choose(configurations: Sequence[Configuration]) -> list[Configuration]:
    """The best configuration of each model, and the worst one; they are sorted from the best to the worst."""
    best_of_model: dict[str, Configuration] = {}
    for configuration in configurations:
        best_of_model.setdefault(configuration.levels[0], configuration)
    chosen = list(best_of_model.values())[: _MAX_RUNS - 1]
    return chosen if configurations[-1] in chosen else [*chosen, configurations[-1]]


def _spread(name: str, configurations: Sequence[Configuration]) -> float:
    values = [configuration.mean_of_image(name, "psnr") for configuration in configurations]
    return max(values) - min(values)


def _read(run: Run, problems: list[str]) -> dict[str, Crops]:
    """Crops by image name, from the folder of the run and from those of its folds."""
    crops: dict[str, Crops] = {}
    folders = [part for folder in map(RunFolder, run.folders) for part in (folder, *folder.folds)]
    for path in sorted(folder.samples for folder in folders if folder.samples.exists()):
        try:
            crops |= read_samples(path)
        except (OSError, ValueError, KeyError, TypeError, Image.DecompressionBombError) as error:
            problems.append(f"{path}: left out, it is damaged ({' '.join(str(error).split())})")
    return crops


def _strip(name: str, spread: float, chosen: Sequence[Configuration], crops: Sequence[Crops]) -> Strip:
    source, _, target = crops[0]
    input_psnr = chosen[0].mean_of_image(name, "input_psnr")
    tiles = [Tile("input", _uri(source), input_psnr, _error(source, target))]
    # Each with its own target: the side of crops is an option.
    for configuration, of_run in zip(chosen, crops, strict=True):
        error = _error(of_run.output, of_run.target)
        psnr = configuration.runs[0].images[name]["psnr"]  # of the run whose output is shown
        tiles.append(Tile(configuration.name, _uri(of_run.output), psnr, error))
    return Strip(name, spread, [*tiles, Tile("target", _uri(target))])


def _error(output: Crop, target: Crop) -> str:
    difference = np.abs(output.astype(np.int16) - target.astype(np.int16)) * ERROR_GAIN
    return _uri(difference.clip(0, 255).astype(np.uint8))


def _uri(pixels: Crop) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
