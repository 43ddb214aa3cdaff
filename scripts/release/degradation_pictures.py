"""Draw the picture of docs/degradations.md: each degradation on one crop.

python -m scripts.release.degradation_pictures       # writes docs/pictures/degradations.png, in seconds

The photograph is scikit-image's chelsea (CC0). Each crop is cut out of the whole image, degraded at x2 by a choice of
``conf/degrade`` with the values in its file, and its pixels are magnified.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from sr.benchmark.named_degradations import named_degradations
from sr.data.degrade.base import generator
from sr.image import crop_to_multiple, to_uint8
from sr.train import config_dir

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SCALE = 2
TOP, LEFT, SIDE = 40, 100, 120  # in pixels of the photograph: an eye
ZOOM = 3  # of low-resolution pixels
COLUMNS = 4
LABEL = 20  # height in pixels
SEEDS = {"photo": (1, 2, 3, 4), "bsrgan": (1, 2, 3, 4)}  # several draws of those that vary most


def crops() -> list[tuple[str, np.ndarray]]:
    """A label and a degraded crop for each choice, those that shrink alone first."""
    hr = crop_to_multiple(torch.from_numpy(data.chelsea()).permute(2, 0, 1), SCALE).double() / 255
    names = sorted(path.stem for path in (config_dir() / "degrade").glob("*.yaml"))
    degradations = named_degradations(",".join(names), config_dir())
    area = (slice(TOP // SCALE, (TOP + SIDE) // SCALE), slice(LEFT // SCALE, (LEFT + SIDE) // SCALE))
    found = []
    for name, degradation in sorted(degradations.items(), key=lambda item: (not item[1].resizes, item[0] in SEEDS)):
        for number, seed in enumerate(SEEDS.get(name, (1,)), 1):
            lr = to_uint8(degradation(hr, SCALE, generator(seed, "chelsea"))).permute(1, 2, 0).numpy()
            found.append((f"{name}, draw {number}" if name in SEEDS else name, lr[area]))
    return found


def sheet(cells: list[tuple[str, np.ndarray]]) -> Image.Image:
    """The crops in rows, each below its label."""
    side = SIDE // SCALE * ZOOM
    rows = -(-len(cells) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * side, rows * (side + LABEL)), "white")
    draw = ImageDraw.Draw(picture)
    for number, (label, crop) in enumerate(cells):
        left, top = number % COLUMNS * side, number // COLUMNS * (side + LABEL)
        enlarged = Image.fromarray(crop).resize((side, side), Image.Resampling.NEAREST)
        picture.paste(enlarged, (left, top + LABEL))
        draw.text((left + 4, top + 3), label, "black", ImageFont.load_default(13))
    return picture


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FOLDER / "degradations.png")
    path = parser.parse_args().out
    sheet(crops()).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
