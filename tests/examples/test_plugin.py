"""The example plugin, installed as a user would install it, goes through every command in processes of its own."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from PIL import Image

from tests.support.images import photograph

ROOT = Path(__file__).parents[2]
TRAIN = (sys.executable, "-m", "sr.train", "experiment=recursive_x2", "logger=none", "trainer.accelerator=cpu")
SR = (str(Path(sys.executable).with_name("sr")),)

Run: TypeAlias = Callable[..., tuple[int, str]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin installed in ``site``, and photographs."""
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder / "site")]
    subprocess.run([*command, str(ROOT / "examples/plugin")], check=True, capture_output=True)
    (folder / "photos").mkdir()
    for number in range(10):
        photograph(64, 64).rotate(36 * number).save(folder / "photos" / f"{number}.png")
    (folder / "list.txt").write_text("".join(f"photos/{number}.png\n" for number in range(10)))
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    """Runs a command there with the plugin installed, or not; returns its exit code and its output."""

    def run_command(*words: object, installed: bool = True) -> tuple[int, str]:
        completed = subprocess.run(
            list(map(str, words)),
            cwd=place,
            env=environment(place, installed),
            capture_output=True,
            text=True,
            check=False,
        )
        return completed.returncode, completed.stdout + completed.stderr

    return run_command


def environment(place: Path, installed: bool) -> dict[str, str]:
    path = [str(place / "site")] if installed else []
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *path]), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def trained(place: Path, run: Run) -> Path:
    """A run of the plugin's network, loss and data that was killed and resumed."""
    options = (
        "name=mine",
        "data=listed",
        "metrics=[default,edge_error]",
        "monitor=val/edge_error",
        "data.root=list.txt",
        "data.patch=32",
        "data.repeat=8",
        "trainer.max_epochs=6",
    )
    folder = place / "runs/mine"
    process = subprocess.Popen([*TRAIN, *options], cwd=place, env=environment(place, installed=True))
    deadline = time.monotonic() + 120
    while not (folder / "checkpoints/last.ckpt").is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    code, text = run(*TRAIN, *options)
    assert code == 0, text
    assert json.loads((folder / "result.json").read_text())["status"] == "done"
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 7)]
    errors = [float(row["val/edge_error"]) for row in rows]
    with (folder / "images.csv").open() as file:
        (best,) = {int(row["epoch"]) for row in csv.DictReader(file)}
    assert errors[best - 1] == min(errors)  # less is better, as its file in conf/metrics says
    return folder


def test_its_own_tests_pass(run: Run) -> None:
    code, text = run(sys.executable, "-m", "pytest", "-q", "-c", os.devnull, ROOT / "examples/plugin/tests")
    assert code == 0, text


def test_an_installed_plugin_is_used_like_a_network_of_sr(trained: Path, place: Path, run: Run) -> None:
    del trained
    code, text = run(*SR, "evaluate", "runs/mine", "--data", "photos", "--device", "cpu", "--metrics", "edge_error")
    assert code == 0, text
    assert "edge error" in text.splitlines()[0]
    assert (place / "runs/mine/evaluations/photos_x2_y.json").is_file()
    code, text = run(*SR, "report", "runs/mine", "--score", "edge_error")
    assert code == 0, text
    assert "recursive" in (place / "runs/mine/report.md").read_text()
    for tile in (0, 16):
        code, text = run(
            *SR, "predict", "photos/0.png", "-m", "runs/mine", "-o", f"tile{tile}.png", "--tile", tile,
            "--precision", "float32",
        )  # fmt: skip
        assert code == 0, text
    whole, tiled = ((place / f"tile{tile}.png").read_bytes() for tile in (0, 16))
    assert Image.open(place / "tile0.png").size == (128, 128)
    assert whole == tiled
    code, text = run(*SR, "export", "runs/mine", "-o", "mine.safetensors")
    assert code == 0, text
    code, text = run(
        *SR, "predict", "photos/0.png", "-m", "mine.safetensors", "-o", "exported.png", "--precision", "float32"
    )
    assert code == 0, text
    assert (place / "exported.png").read_bytes() == whole
    script = "from pathlib import Path; from sr.demo.page import Page; print(list(Page(Path('runs')).models))"
    code, text = run(sys.executable, "-c", script)
    assert code == 0, text
    assert "mine" in text


def test_the_weights_of_a_run_start_another(trained: Path, run: Run) -> None:
    del trained
    code, text = run(*TRAIN, "name=further", "init=runs/mine", "debug=tiny")
    assert code == 0, text


def test_without_the_entry_point_other_commands_have_to_be_told(trained: Path, place: Path, run: Run) -> None:
    del trained
    for folder in (place / "site").glob("*.dist-info"):
        (folder / "entry_points.txt").rename(folder / "hidden.txt")
    try:
        predict = (*SR, "predict", "photos/0.png", "-m", "runs/mine", "-o", "told.png")
        code, text = run(*predict)
        assert code == 2
        assert "if you trust the code of sr_example, add --trust sr_example, or set SR_TRUST=sr_example" in text
        code, text = run(*predict, "--trust", "sr_example")
        assert code == 0, text
        code, text = run(*predict, "--trust", "sr_example", installed=False)
        assert code == 2
        assert "cannot be imported: install its package, or add the folder that holds it to PYTHONPATH" in text
        script = "import sr; print(sr.load('runs/mine', trust=['sr_example']).scale)"
        assert run(sys.executable, "-c", script) == (0, "2\n")
        conf = place / "site/sr_example/conf"
        code, text = run(
            *TRAIN[:3], "--config-dir", conf, "experiment=recursive_x2", "debug=tiny", "name=own", "logger=none"
        )
        assert code == 0, text
        assert "sr_example.network.Recursive: other commands load it with --trust sr_example" in text
    finally:
        for folder in (place / "site").glob("*.dist-info"):
            (folder / "hidden.txt").rename(folder / "entry_points.txt")


def test_options_that_a_checkpoint_cannot_hold_are_refused_before_training(place: Path, run: Run) -> None:
    code, text = run(*TRAIN, "name=big", "model.channels=2048", "debug=tiny")
    assert code == 2
    assert "error: model: a checkpoint of it could not be loaded again: its config has 'channels' = 2048" in text
    assert not (place / "runs/big/checkpoints").exists()
