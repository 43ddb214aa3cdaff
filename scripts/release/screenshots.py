"""Make screenshots of the demo and of TensorBoard: on a laptop and on a phone, in light and dark colours.

python -m scripts.release.screenshots demo runs            # needs playwright and an installed Chromium
python -m scripts.release.screenshots tensorboard runs

``runs`` is a folder of finished runs; the demo shows networks that ship with sr. That of TensorBoard's pictures was

S="data.patch=64 data.repeat=1 data.train_scored=0"
sr train model=espcn scale=2 name=espcn trainer.max_epochs=5 adam_lr=2e-3 $S
"""

import argparse
import io
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
SIZES = {1366: 768, 390: 844}  # width and height of the screen, pixels
COLOURS: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
_QUALITY = 80  # of WebP
_PATIENCE = 180_000  # milliseconds, for a busy machine
_DEMO, _TENSORBOARD = "http://127.0.0.1:7867", "http://127.0.0.1:6117"


def show_demo(page: Any, address: str) -> None:
    """Enlarge an example with two models."""
    page.goto(address)
    page.locator("#example_cat").click()
    page.locator("#picture img").wait_for()
    page.locator("#model input").click()
    page.get_by_role("option", name="espcn_x2", exact=True).click()
    page.keyboard.press("Escape")
    page.locator("#enlarge").click()
    page.locator("#facts table").wait_for()
    page.wait_for_function("[...document.querySelectorAll('#slider img')].every(image => image.complete)")
    page.wait_for_timeout(1500)


def show_tensorboard(page: Any, address: str) -> None:
    """Show the first charts."""
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.goto(f"{address}/?darkMode={'true' if is_dark else 'false'}#timeseries")
    page.locator("text=Val/").first.wait_for()
    page.wait_for_timeout(6000)


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


def _served_demo(runs: Path) -> Any:
    port = _DEMO.rpartition(":")[2]
    return serve([str(Path(sys.executable).parent / "sr"), "demo", "--runs", str(runs), "--port", port], _DEMO)


def _served_tensorboard(runs: Path) -> Any:
    port = _TENSORBOARD.rpartition(":")[2]
    command = [str(Path(sys.executable).parent / "tensorboard"), "--logdir", str(runs), "--port", port]
    return serve(command, _TENSORBOARD)


# How each page is served, and brought to what its picture shows.
PAGES: dict[str, tuple[Callable[[Path], Any], Callable[[Any, str], None]]] = {
    "demo": (_served_demo, show_demo),
    "tensorboard": (_served_tensorboard, show_tensorboard),
}


def main() -> None:
    """Make the screenshots of one page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", choices=PAGES)
    parser.add_argument("runs", type=Path)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    served, show = PAGES[options.page]
    with sync_playwright() as running, served(options.runs) as address:
        chromium = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width, height in SIZES.items():
            for colours in COLOURS:
                page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=colours)
                page.set_default_timeout(_PATIENCE)
                show(page, address)
                path = FOLDER / f"{options.page}_{width}_{colours}.webp"
                Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(path, quality=_QUALITY, method=6)
                print(path)
                page.close()
        chromium.close()


if __name__ == "__main__":
    main()
