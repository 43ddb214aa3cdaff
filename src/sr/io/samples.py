"""``samples.png`` of a run: crops of its validation images.

One row per image with the columns input, output and target; narrower rows are padded with black. The PNG text chunk
``sr`` contains JSON: the side of the rows and, for each row, the name of the image and the position of the crop.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sr.io.atomic import whole_file

Crop: TypeAlias = NDArray[np.uint8]  # (side, side, 3)


@dataclass(frozen=True)
class Square:
    """A square of an image, in pixels."""

    name: str
    top: int
    left: int
    side: int


class Crops(NamedTuple):
    """The input, output and target of the network for one square."""

    source: Crop
    output: Crop
    target: Crop


def write_samples(path: Path, rows: Sequence[tuple[Square, Crops]]) -> None:
    """Write the crops of one or more images."""
    side = max(square.side for square, _ in rows)
    sheet = np.zeros((side * len(rows), 3 * side, 3), np.uint8)
    for number, (square, crops) in enumerate(rows):
        sheet[number * side : number * side + square.side, : 3 * square.side] = np.concatenate(crops, axis=1)
    text = PngInfo()
    text.add_text("sr", json.dumps({"side": side, "rows": [asdict(square) for square, _ in rows]}))
    with whole_file(path) as file:
        Image.fromarray(sheet).save(file, "PNG", pnginfo=text)


def read_samples(path: Path) -> dict[str, tuple[Square, Crops]]:
    """Read the squares and the crops by the names of their images.

    Raises:
        OSError, ValueError, KeyError or TypeError: if the file is missing or damaged.
    """
    with Image.open(path, formats=("PNG",)) as picture:
        layout = json.loads(picture.info["sr"])
        sheet = np.asarray(picture.convert("RGB"))
    samples = {}
    for number, entry in enumerate(layout["rows"]):
        square = Square(entry["name"], entry["top"], entry["left"], entry["side"])
        top, side = number * layout["side"], square.side
        row = sheet[top : top + side]
        crops = Crops(*(row[:, column * side : (column + 1) * side] for column in range(3)))
        samples[square.name] = (square, crops)
    return samples
