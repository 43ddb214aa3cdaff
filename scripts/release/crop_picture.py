"""Make the picture of the README: a crop of a photograph, enlarged by bicubic and by a model, and as it was.

python -m scripts.release.crop_picture --model resblock_x3

The photograph is scikit-image's chelsea (CC0).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from skimage import data

from sr import load
from sr.image import crop_to_multiple, resize, to_uint8
from sr.inference.enlarger import Enlarger
from sr.weights.model import Model

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
TOP, LEFT, SIDE = 40, 100, 120  # the crop shows an eye
ZOOM = 3


def photograph(scale: int) -> tuple[np.ndarray, np.ndarray]:
    """The photograph downscaled by ``scale`` and the photograph itself, uint8 ``(H, W, 3)``."""
    hr = crop_to_multiple(torch.from_numpy(data.chelsea()).permute(2, 0, 1)[None], scale)
    lr = to_uint8(resize(hr.double() / 255, 1 / scale))
    small, large = (image[0].permute(1, 2, 0).numpy() for image in (lr, hr))
    return small, large


def crop(model: str, path: Path) -> None:
    """Write a crop enlarged by bicubic, by the model, and of the original, magnified by ``ZOOM``."""
    enlarger = load(model)
    small, large = photograph(enlarger.scale)
    bicubic = Enlarger(Model("bicubic", enlarger.scale))
    sheet = Image.new("RGB", (3 * SIDE * ZOOM, SIDE * ZOOM))
    for number, (name, image) in enumerate(
        [("bicubic", bicubic(small)), (model, enlarger(small)), ("original", large)]
    ):
        square = Image.fromarray(image[TOP : TOP + SIDE, LEFT : LEFT + SIDE])
        square = square.resize((SIDE * ZOOM, SIDE * ZOOM), Image.Resampling.NEAREST)
        ImageDraw.Draw(square).text((8, 6), name, fill="white", stroke_width=2, stroke_fill="black")
        sheet.paste(square, (number * SIDE * ZOOM, 0))
    sheet.save(path, optimize=True)


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resblock_x3")
    FOLDER.mkdir(parents=True, exist_ok=True)
    crop(parser.parse_args().model, FOLDER / "crop.png")


if __name__ == "__main__":
    main()
