"""Make the pictures of the pages of `sr report` and `sr search`: on a laptop and on a phone, in light and dark mode.

python -m scripts.release.page_pictures                              # trains first: half an hour on two cores
python -m scripts.release.page_pictures --runs RUNS --search SEARCH  # of finished runs and a finished search

Needs playwright and an installed Chromium. What it trains is in `TRAININGS` and `SEARCH`.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from sr.report.page import write_report
from sr.report.search import FILE, write_search

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SIZES = {1366: 900, 390: 844}  # width and height of a laptop's and a phone's screen, CSS pixels
COLOURS = 128  # of a picture: text and flat colours need no more

TRAINED = (
    "seeds=3 scale=2 data.folds=3 data.fold=all data.repeat=20 data.patch=64 trainer.max_epochs=4 data.train_scored=0 "
    "adam_lr=2e-3 logger=none"
)
TRAININGS = {
    "demo": f"-m model=espcn loss=mse,mae optimizer=adam,sgd {TRAINED}",
    "origin": f"-m model=espcn_origin loss=mse optimizer=adam {TRAINED}",
}
SEARCH = (
    "-m hydra/sweeper=optuna model=espcn scale=2 data.repeat=4 data.patch=48 trainer.max_epochs=4 data.train_scored=0 "
    "logger=none hydra.sweeper.n_trials=16 hydra.sweeper.pruner=median optimizer.lr=tag(log,interval(1e-4,1e-2)) "
    "model.channels=choice(16,32,64) loss=mse,mae"
)


def train(folder: Path, options: str) -> None:
    """Train a sweep or a search in a new folder."""
    command = [sys.executable, "-m", "sr.train", *options.split(), f"hydra.sweep.dir={folder}"]
    subprocess.run(command, check=True)


def save_pages(browser: Any, page_file: Path, name: str) -> None:
    """Save the first screen of a page in every size, light and dark."""
    for width, height in SIZES.items():
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(page_file.resolve().as_uri())
            save_screenshot(page, FOLDER / f"{name}_{width}_{scheme}.png")
            page.close()


def save_screenshot(shown: Any, path: Path) -> None:
    """Save a screenshot of a page or an element as a PNG of few colours."""
    shown.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def save_parts(browser: Any, page_file: Path) -> None:
    """Save the first plots of a report and the crops of one of its images."""
    page = browser.new_page(viewport={"width": 1366, "height": 900})
    page.goto(page_file.resolve().as_uri())
    for css, name in ((".plots", "report_figures"), (".crops", "report_crops")):
        picture = io.BytesIO(page.locator(css).first.screenshot())
        Image.open(picture).convert("RGB").save(FOLDER / f"{name}.webp", quality=80, method=6)
    page.close()


def main() -> None:
    """Train what is not given, write the pages beside it, and save their pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, help="folder of finished runs (default: trains some)")
    parser.add_argument("--search", type=Path, help="folder of a finished search (default: makes one)")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        runs, search = options.runs or Path(temporary, "runs"), options.search or Path(temporary, "search")
        if options.runs is None:
            for name, overrides in TRAININGS.items():
                train(runs / name, overrides)
        if options.search is None:
            train(search, SEARCH)
        report = write_report([runs]).files[0]
        write_search(search)
        with sync_playwright() as running:
            browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            save_pages(browser, report, "report")
            save_pages(browser, search / FILE, "search")
            save_parts(browser, report)
            browser.close()


if __name__ == "__main__":
    main()
