"""The README and the documentation site: short, complete, self-contained."""

import functools
import html
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sr.cli import make_parser
from sr.train import config_dir
from sr.weights import zoo
from tests.support.browser import Browser
from tests.support.documents.shell import ROOT

README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a broken internal link fails."""
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return folder


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_readme_is_short_and_names_what_it_is_built_on() -> None:
    assert len(README.split()) <= 1500
    first_screen = README.partition("## Install")[0]
    assert {"Lightning", "Hydra", "make train", "make test"} <= set(re.findall(r"make \w+|\w+", first_screen))


@pytest.mark.parametrize("page", ["README.md", "docs/measured/networks.md"])
def test_scores_in_tables_are_those_of_the_shipped_networks(page: str) -> None:
    text = (ROOT / page).read_text()
    records = sorted((Path(zoo.__file__).parent / "shipped").glob("*.json"))
    assert len(records) >= 4
    for record in records:
        for score in json.loads(record.read_text())["scores"]:
            row = f"| `{record.stem}` | {score['scale']} | {score['psnr']:.2f} | {score['ssim']:.4f} |"
            assert f"{row} {score['bicubic_psnr']:.2f} |" in text


@pytest.mark.slow
def test_the_reference_has_every_choice_and_every_command(site: Path) -> None:
    options = html.unescape((site / "reference" / "options" / "index.html").read_text())
    files = [path for path in config_dir().rglob("*.yaml") if path.parent != config_dir()]
    assert len(files) > 40
    for path in files:
        choice = f"{path.parent.relative_to(config_dir()).as_posix()}={path.stem}"
        assert f"<code>{choice}</code>" in options or (path.stem == "default" and path.parent.name == "local"), choice
    assert "<code>model.num_blocks</code>" in options
    assert "hidden convolutions: the first 5x5" in options  # of a docstring
    commands = html.unescape((site / "reference" / "commands" / "index.html").read_text())
    names = next(action.choices for action in make_parser()._actions if action.choices)
    for name in names:
        assert f"<code>sr {name}</code>" in commands


@pytest.mark.slow
@pytest.mark.parametrize("width", [1366, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fetch_nothing_and_fit_the_screen(browser: Browser, address: str, width: int, scheme: str) -> None:
    browser.page.set_viewport_size({"width": width, "height": 900})
    browser.page.emulate_media(color_scheme=scheme)
    for page in ("", "tutorials/first_comparison/", "reference/options/", "reference/statistics/"):
        browser.page.goto(f"{address}/{page}", wait_until="networkidle")
        assert browser.page.evaluate("document.documentElement.scrollWidth") <= width, page
    assert browser.errors == []
    assert len(browser.requests) > 10
    assert [url for url in browser.requests if not url.startswith((address, "data:"))] == []
