"""Crops of the images on which the configurations differ most: input, outputs, target and absolute errors."""

import base64
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from PIL import Image

from sr.errors import some_of
from sr.io.run_folder import RunFolder
from sr.io.samples import Crop, Crops, Square, read_samples
from sr.report.board import Row
from sr.report.run import Configuration, Run

ERROR_GAIN = 4  # amplification of the error images
HOW_TO_LOOK = (
    "Move the divider to compare any two; click a crop to enlarge it, and step through the others at the same place. "
    f"Below each crop its absolute error, amplified {ERROR_GAIN}x. PSNR is that of the whole image, by the first run "
    "of each configuration."
)

_MAX_IMAGES = 4
_MAX_RUNS = 5

Samples: TypeAlias = Mapping[str, tuple[Square, Crops]]  # by name of the image

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tile:
    """A crop as a data URI, its label, the PSNR of its whole image in dB, and its error as a data URI."""

    label: str
    picture: str
    psnr: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Strip:
    """The tiles of one image, all of the same place.

    Attributes:
        name: of the image.
        spread: difference in PSNR between its best and its worst configuration, in dB.
        tiles: input, outputs, target.
        reason: why this image and this place of it are shown.
    """

    name: str
    spread: float
    tiles: list[Tile]
    reason: str


def strips(rows: Sequence[Row], problems: list[str]) -> list[Strip]:
    """Show the images with the largest spread of PSNR over the configurations, if their runs kept crops of them.

    Each strip shows the best configuration, the best one of every other model, and the worst one, by its first run.

    Args:
        rows: the leaderboard.
        problems: gets a line for each file that cannot be read.
    """
    configurations = [row.configuration for row in rows if row.configuration is not None]
    chosen = _choose(configurations)
    samples = [samples_of(configuration.runs[0], problems) for configuration in chosen]
    shown = [
        set(of_run) & set(configuration.runs[0].images) for configuration, of_run in zip(chosen, samples, strict=True)
    ]
    kept = [name for name in configurations[0].images if all(name in of_run for of_run in shown)]
    squares = {name: _common([of_run[name][0] for of_run in samples]) for name in kept}
    if apart := [name for name, square in squares.items() if square is None]:
        log.warning("no crops of %s: those of the runs show different places of it", some_of(apart))
    spreads = {name: _spread(name, configurations) for name, square in squares.items() if square}
    widest = sorted(spreads, key=lambda name: (-spreads[name], name))[:_MAX_IMAGES]
    found = []
    for number, name in enumerate(widest, 1):
        square = squares[name]
        assert square is not None  # others have no spread
        crops = [_cut(square, *of_run[name]) for of_run in samples]
        reason = _reason(number, len(spreads), len(configurations[0].images), spreads[name], square)
        found.append(_strip(name, spreads[name], chosen, crops, reason))
    return found


def strip_of(name: str, chosen: Sequence[Configuration], samples: Sequence[Samples], why: str) -> Strip | None:
    """Crops of an image by some configurations; None if a run kept none, or not of the same place."""
    if not all(name in of_run for of_run in samples):
        return None
    place = _common([of_run[name][0] for of_run in samples])
    if place is None:
        return None
    return _strip(name, _spread(name, chosen), chosen, [_cut(place, *of_run[name]) for of_run in samples], why)


@dataclass(frozen=True)
class _Place:
    """A rectangle of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


def _common(squares: Sequence[Square]) -> _Place | None:
    """The rectangle that all squares contain; None if there is none."""
    top, left = max(square.top for square in squares), max(square.left for square in squares)
    bottom = min(square.top + square.side for square in squares)
    right = min(square.left + square.side for square in squares)
    return _Place(top, left, bottom - top, right - left) if bottom > top and right > left else None


def _cut(place: _Place, square: Square, crops: Crops) -> Crops:
    """The part of crops of a square that shows a place."""
    top, left = place.top - square.top, place.left - square.left
    return Crops(*(crop[top : top + place.height, left : left + place.width] for crop in crops))


def _reason(number: int, count: int, images: int, spread: float, place: _Place) -> str:
    """Why an image is shown, the one with the ``number``-th largest spread of ``count``, and why this part of it."""
    where = (
        f"The crop of {place.width}x{place.height} pixels at x {place.left}, y {place.top} is where the input differs "
        "most from the target."
    )
    between = f"{spread:.2f} dB between the best and the worst configuration"
    of = f"{count} images" if count == images else f"the {count} of {images} images that all runs kept crops of"
    rank = ("largest", "second largest", "third largest", "fourth largest")[number - 1]
    if count == 1:
        return f"{between.capitalize()}, on the only image that all runs kept a crop of. {where}"
    return f"Chosen for the {rank} difference among {of}: {between}. {where}"


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


def samples_of(run: Run, problems: list[str]) -> Samples:
    """Squares and crops by image name, from the folder of the run and from those of its folds."""
    samples: dict[str, tuple[Square, Crops]] = {}
    folders = [part for folder in map(RunFolder, run.folders) for part in (folder, *folder.folds)]
    for path in sorted(folder.samples for folder in folders if folder.samples.exists()):
        try:
            samples |= read_samples(path)
        except (OSError, ValueError, KeyError, TypeError, Image.DecompressionBombError) as error:
            problems.append(f"{path}: left out, it is damaged ({' '.join(str(error).split())})")
    return samples


def _strip(name: str, spread: float, chosen: Sequence[Configuration], crops: Sequence[Crops], reason: str) -> Strip:
    source, _, target = crops[0]
    input_psnr = chosen[0].mean_of_image(name, "input_psnr")
    tiles = [Tile("input", _uri(source), input_psnr, _error(source, target))]
    for configuration, of_run in zip(chosen, crops, strict=True):
        error = _error(of_run.output, of_run.target)
        psnr = configuration.runs[0].images[name]["psnr"]  # of the run whose output is shown
        tiles.append(Tile(configuration.name, _uri(of_run.output), psnr, error))
    return Strip(name, spread, [*tiles, Tile("target", _uri(target))], reason)


def _error(output: Crop, target: Crop) -> str:
    difference = np.abs(output.astype(np.int16) - target.astype(np.int16)) * ERROR_GAIN
    return _uri(difference.clip(0, 255).astype(np.uint8))


def _uri(pixels: Crop) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
