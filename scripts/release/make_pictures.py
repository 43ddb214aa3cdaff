"""Make the pictures of the README: a crop before and after, TensorBoard and the demo.

python -m scripts.release.make_pictures runs --model espcn_x3      # needs playwright and an installed Chromium

``runs`` is a folder of finished runs for TensorBoard and the demo; those of the pictures were

S="seeds=3 scale=2 data.folds=3 data.fold=all data.repeat=20 data.patch=64 trainer.max_epochs=4
   trainer.check_val_every_n_epoch=2 data.train_scored=0 adam_lr=2e-3"
sr train -m model=espcn loss=mse,mae optimizer=adam,sgd name=demo $S
sr train -m model=espcn_origin loss=mse optimizer=adam name=origin $S

The photograph is scikit-image's chelsea (CC0).
"""

import argparse
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from skimage import data

from sr import load
from sr.image import crop_to_multiple, resize, to_uint8
from sr.inference.enlarger import Enlarger
from sr.weights.find import Model

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


@contextmanager
def serve(command: list[str], address: str) -> Iterator[str]:
    """Start a command that serves a page, wait until it responds, and finally stop it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(480):
            try:
                urllib.request.urlopen(address, timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()


def save_screenshot(page: Any, path: Path, **options: Any) -> None:
    """Save a screenshot as a PNG with 128 colours."""
    page.screenshot(path=path, **options)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


def main() -> None:
    """Make all three pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--model", default="espcn_x3")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(parents=True, exist_ok=True)
    crop(options.model, FOLDER / "crop.png")
    small = FOLDER / "small.png"
    Image.fromarray(photograph(load(options.model).scale)[0]).save(small)
    bin_folder = Path(sys.executable).parent
    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1200, "height": 800})
        board = [str(bin_folder / "tensorboard"), "--logdir", str(options.runs), "--port", "6116"]
        with serve(board, "http://127.0.0.1:6116") as address:
            page.goto(f"{address}/#timeseries")
            page.locator("button:has-text('Settings')").first.click()
            page.locator("metrics-filter-input input, metrics-tag-filter input").first.fill("val/(psnr|ssim|gain|loss)")
            page.keyboard.press("Escape")
            page.wait_for_timeout(6000)
            save_screenshot(page, FOLDER / "tensorboard.png")
        demo = [str(bin_folder / "sr"), "demo", "--runs", str(options.runs), "--port", "7866"]
        with serve(demo, "http://127.0.0.1:7866") as address:
            page.goto(address)
            page.locator("#model input").click()
            page.get_by_role("option", name=options.model, exact=True).click()
            page.locator("#picture input[type=file]").set_input_files(str(small))
            page.locator("#picture img").wait_for()
            page.locator("#enlarge").click()
            page.locator("#slider img").first.wait_for(timeout=60_000)
            page.wait_for_timeout(1500)
            save_screenshot(page, FOLDER / "demo.png")
        chromium.close()
    small.unlink()


if __name__ == "__main__":
    main()
