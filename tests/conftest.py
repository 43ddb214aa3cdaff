"""Fixtures: small data sets, configs, the training command and a browser."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: tests run in parallel; child processes inherit it

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from joblib.externals.loky import get_reusable_executor
from omegaconf import DictConfig
from PIL import Image

from sr import train
from sr.machine import speed
from sr.train import config_dir
from tests.support.browser import Browser
from tests.support.images import photograph
from tests.support.runs import SMALL, Command, Compose, MakeFolder

# Data next to the repository; without it, the tests that need it are skipped.
SHARED = Path(__file__).parents[2] / "shared" / "data"

torch.set_num_threads(1)

_CTRL_C = 130  # exit code


@pytest.fixture(scope="session", autouse=True)
def home_of_this_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Set HOME to an empty folder, so that no cache of the user or of another worker affects a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def short_measurements(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time a network by 3 repeats at the end of a run, except in tests of the measurement itself."""
    if "whole_measurements" in request.fixturenames:
        return
    monkeypatch.setattr(speed, "LEAST_REPEATS", 3)
    monkeypatch.setattr(speed, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(speed, "_BATCH_SECONDS", 0.0)


@pytest.fixture
def shared() -> Path:
    """The folder of real images and MATLAB's output."""
    if not SHARED.is_dir():
        pytest.skip("needs the data folder next to the repository")
    return SHARED


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Make a data folder with ``high_res/`` and, on request, ``low_res/`` at a scale."""

    def make(
        count: int = 10, size: tuple[int, int] = (48, 64), low_scale: int | None = None, name: str = "data"
    ) -> Path:
        root = tmp_path / name
        (root / "high_res").mkdir(parents=True)
        if low_scale:
            (root / "low_res").mkdir()
        for number in range(count):
            image = photograph(*size, seed=number)
            image.save(root / "high_res" / f"{number}.png")
            if low_scale:
                low = image.resize((size[1] // low_scale, size[0] // low_scale), Image.Resampling.BICUBIC)
                low.save(root / "low_res" / f"{number}.png")
        return root

    return make


@pytest.fixture
def compose_config(tmp_path: Path) -> Compose:
    """Compose the training config with overrides and a temporary run folder."""

    def make(overrides: Sequence[str] = ()) -> DictConfig:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return compose("train", overrides=[f"run_dir='{tmp_path / 'run'}'", *overrides])

    return make


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run ``python -m sr.train`` in this process and return its exit code and output.

    A test that sends Ctrl-C itself passes ``interrupted=True``; any other Ctrl-C stops pytest.
    """

    def run(
        *overrides: str, folder: str = "run", flags: Sequence[str] = (), interrupted: bool = False
    ) -> tuple[int, str]:
        arguments = ["sr.train", *flags, *SMALL, f"hydra.run.dir={tmp_path / folder}", *overrides]
        monkeypatch.setattr(sys, "argv", arguments)
        monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # Hydra sets it and never resets it
        if any(override.endswith("launcher=joblib") for override in overrides):
            get_reusable_executor().shutdown(wait=True)  # workers of an earlier test would write to its output
        code = 0
        try:
            train.main()
        except SystemExit as end:
            code = int(end.code or 0)
        if code == _CTRL_C and not interrupted:
            raise KeyboardInterrupt
        captured = capfd.readouterr()
        return code, captured.out + captured.err

    return run


@pytest.fixture
def browser() -> Iterator[Browser]:
    """An empty browser page; skips the test if no browser is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        opened = Browser(chromium.new_page())
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("console", lambda message: opened.errors.append(message.text))
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        yield opened
        chromium.close()
