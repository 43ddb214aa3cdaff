"""Scores on images that a model was trained on."""

import logging
import shutil
from pathlib import Path

import pytest

from sr.benchmark.evaluate import evaluate
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.weights.find import find_model
from tests.support.images import photograph
from tests.support.runs import Command, MakeFolder

TINY = ["model.channels=8", "data=folder", "trainer.max_epochs=1", "scale=2"]


def warnings(model: Path | str, data: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    logger = logging.getLogger("sr.benchmark.trained")
    logger.addHandler(caplog.handler)  # Hydra has replaced the handlers of the root
    try:
        list(evaluate([find_model(str(model), 2)], [data], scale=2))
    finally:
        logger.removeHandler(caplog.handler)
    return [line for line in caplog.messages if "was trained on" in line]


def test_a_model_that_was_trained_on_the_images_is_named(
    command: Command, make_folder: MakeFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    code, text = command(*TINY, f"data.root={make_folder()}")
    assert code == 0, text
    rows = read_table(RunFolder(tmp_path / "run").split)
    trained = [row["name"] for row in rows if row["part"] == "train"]
    (held_out,) = [row["name"] for row in rows if row["part"] == "val"]
    data = tmp_path / "Set2"
    data.mkdir()
    shutil.copy(tmp_path / "data" / "high_res" / f"{held_out}.png", data)
    assert warnings(tmp_path / "run", data, caplog) == []
    shutil.copy(tmp_path / "data" / "high_res" / f"{trained[0]}.png", data / "renamed.png")
    line = "was trained on 1 of the 2 images of Set2 (renamed): its scores are too good"
    for model in (tmp_path / "run", RunFolder(tmp_path / "run").best):
        assert warnings(model, data, caplog) == [f"WARNING: {model} {line}"]
    (line_of_all,) = warnings(tmp_path / "run", tmp_path / "data", caplog)
    assert f"was trained on 7 of the 10 images of data ({', '.join(sorted(trained)[:3])}, ...): its" in line_of_all
    assert warnings("espcn_x2", data, caplog) == []
    other = make_folder(name="other", count=6)
    for number in range(6):
        photograph(48, 64, seed=50 + number).save(other / "high_res" / f"{number}.png")
    code, text = command(*TINY, f"data.root={other}", f"init={tmp_path / 'run'}", folder="tuned")
    assert code == 0, text
    assert warnings(tmp_path / "tuned", data, caplog) == [f"WARNING: {tmp_path / 'tuned'} {line}"]
