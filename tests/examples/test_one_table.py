"""Everything that may enter a comparison, in one table with verdicts: in processes of its own, as a user would."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sr.report.page import compared
from sr.report.sections import Board, Settings
from tests.support.community import needs_spandrel, spandrel
from tests.support.images import photograph

ROOT = Path(__file__).parents[2]
SR = str(Path(sys.executable).with_name("sr"))
TRAIN = (sys.executable, "-m", "sr.train", "scale=2", "seeds=3", "trainer.max_epochs=1", "logger=none")
PROGRAM = """
import sys
from PIL import Image
image = Image.open(sys.argv[1])
scale = int(sys.argv[3])
image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS).save(sys.argv[2])
"""
ENTRANTS = ["compact", "espcn", "net", "program", "recursive", "saved", "span"]

pytestmark = [pytest.mark.slow, needs_spandrel]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example plugin in ``site``, photographs to train and to score on, and models of others."""
    folder = tmp_path_factory.mktemp("table")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder / "site")]
    subprocess.run([*pip, str(ROOT / "examples/plugin")], check=True, capture_output=True)
    for name, count, first in (("train", 10, 0), ("Four", 4, 100)):
        (folder / name).mkdir()
        for number in range(count):
            photograph(64, 72, seed=first + number).save(folder / name / f"{number}.png")
    (folder / "program.py").write_text(PROGRAM)
    write_models_of_others(folder)
    return folder


def write_models_of_others(folder: Path) -> None:
    """Two state dicts with random weights that add nothing to what their skip connections pass on."""
    spandrel()
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.SPAN import SPAN

    torch.manual_seed(0)
    compact = Compact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2)
    torch.save({"params": compact.state_dict()}, folder / "compact.pth")
    span = SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)
    torch.save(span.state_dict(), folder / "span.pth")
    subprocess.run([SR, "export", "espcn_x2", "-o", "ours.onnx"], cwd=folder, check=True, capture_output=True)
    import onnx

    proto = onnx.load(folder / "ours.onnx")
    del proto.metadata_props[:]  # what sr wrote: now it is like any other
    onnx.save(proto, folder / "net.onnx")


def run(place: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(place / "site")])}
    environment |= {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def board(place: Path) -> Board:
    """The leaderboard of the benchmark set."""
    small = ("model.channels=8", "data=folder", "data.root=train", "data.patch=32", "trainer.accelerator=cpu")
    for model in ("espcn", "recursive"):
        run(place, *TRAIN, *small, f"model={model}", f"name={model}")
    models = ("runs/espcn", "runs/recursive", "compact.pth", "span.pth", "net.onnx")
    scoring = ("--data", "Four", "--scale", "2", "--record", "runs", "--csv")
    run(place, SR, "evaluate", *models, *scoring, "models.csv", "--save", "outputs", "--order", "rgb", "--range", "1")
    run(place, SR, "evaluate", *scoring, "saved.csv", "--outputs", "outputs/net/Four", "--name", "saved")
    command = f"{sys.executable} program.py {{input}} {{output}} {{scale}}"
    run(place, SR, "evaluate", *scoring, "made.csv", "--outputs", "made", "--name", "program", "--command", command)
    boards = compared([place / "runs"], Settings("psnr", None, None))
    (of_set,) = (entry for entry in boards if entry.comparison.label == "Four")
    return of_set


def test_one_table_holds_all_that_may_enter(board: Board) -> None:
    rows = [row.name for row in board.rows if row.configuration]
    assert sorted(name.partition(",")[0] for name in rows) == ENTRANTS


def test_every_pair_of_them_has_a_verdict(board: Board) -> None:
    names = board.analysis.names[: len(ENTRANTS)]
    pairs = [(first, second) for first in range(len(names)) for second in range(first)]
    known = board.analysis.pairs
    assert [(names[first], names[second]) for first, second in pairs if (first, second) not in known] == []


def test_saved_outputs_score_as_the_network_that_made_them(board: Board, place: Path) -> None:
    del board
    rows = [row for name in ("models", "saved") for row in rows_of(place / f"{name}.csv")]
    scores = {row["model"]: float(row["psnr"]) for row in rows}
    assert scores["saved"] == pytest.approx(scores["net"], abs=1e-6)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
