"""Runs with inputs degraded at random: scored as they were trained, resumed bit for bit, with a class of one's own."""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sr.cli import main
from sr.io.run_folder import RunFolder
from sr.weights import trust
from tests.support.kills import make_images, run_to_end, run_with_kills, training_command
from tests.support.run_differences import differences
from tests.support.runs import Command, Compose, MakeFolder, result_of

PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar
from sr.data.degrade.base import Keyed
from sr.data.degrade.bicubic import BICUBIC

@dataclass(frozen=True)
class Jpeg(Keyed):
    resizes: ClassVar[bool] = False
    is_random: ClassVar[bool] = False
    quality: tuple[int, int] = (30, 95)

    def __call__(self, image, scale, random):
        return 1 - BICUBIC(image, scale, random)

    def margin(self, scale):
        return BICUBIC.margin(scale)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the YAML file of a package, whose degradation has the name and the options of one of ours."""
    (tmp_path / "pictures_upside").mkdir()
    (tmp_path / "pictures_upside" / "degrade.py").write_text(PLUGIN)
    (tmp_path / "conf" / "degrade").mkdir(parents=True)
    text = "# @package data.degrade\n_target_: pictures_upside.degrade.Jpeg\nquality: [30, 95]\n"
    (tmp_path / "conf" / "degrade" / "negative.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(trust, "_trusted", set())
    yield tmp_path / "conf"
    for name in [name for name in sys.modules if name.startswith("pictures_upside")]:
        del sys.modules[name]


def scored(folder: Path, data: Path, *options: str) -> str:
    """The name of the set that a run is scored on."""
    main(["evaluate", str(folder), "--data", str(data), "--json", str(folder / "scores.json"), *options])
    return str(json.loads((folder / "scores.json").read_text())[-1]["data"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["jpeg", "photo"])
def test_a_run_is_scored_on_the_degradation_of_its_training(
    command: Command, make_folder: MakeFolder, tmp_path: Path, name: str
) -> None:
    root = make_folder(count=6)
    code, text = command("data=isr", f"data.root={root}", f"degrade={name}", "scale=2", "data.patch=32")
    assert code == 0, text
    assert f"low resolution by {name}" in text
    assert scored(tmp_path / "run", root).endswith(f"({name})")


@pytest.mark.slow
def test_a_killed_run_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    root = make_images(tmp_path / "data")
    options = ["degrade=photo", "data.num_workers=1", "trainer.max_epochs=3"]
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    run_to_end([*training_command("run", root, undisturbed), *options], undisturbed)
    kills = list(run_with_kills([*training_command("run", root, killed), *options], killed, 2, random.Random(1)))
    assert any("SIGKILL" in kill for kill in kills)
    assert differences(undisturbed, killed) == []


@pytest.mark.slow
def test_a_degradation_of_ones_own_is_trained_on_and_scored_once_it_is_trusted(
    command: Command,
    make_folder: MakeFolder,
    tmp_path: Path,
    plugin: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = make_folder(count=6)
    settings = ["data=isr", f"data.root={root}", "scale=2", "data.patch=32", "degrade=negative"]
    code, text = command(*settings, flags=["--config-dir", str(plugin)])
    assert code == 0, text
    assert "pictures_upside.degrade.Jpeg: other commands load it with --trust pictures_upside" in text
    assert RunFolder(tmp_path / "run").best.is_file()
    monkeypatch.setattr(trust, "_trusted", set())  # as in another process
    with pytest.raises(SystemExit, match="2"):
        scored(tmp_path / "run", root)
    assert "add --trust pictures_upside" in capfd.readouterr().err
    assert scored(tmp_path / "run", root, "--trust", "pictures_upside").endswith("(pictures_upside.degrade.Jpeg)")
    code, text = command(*settings[:-1], "degrade=jpeg", folder="ours")
    assert code == 0, text
    fingerprints = [result_of(tmp_path / folder)["data"]["fingerprint"] for folder in ("run", "ours")]
    assert len(set(fingerprints)) == 2


@pytest.mark.parametrize("recipe", ["espcn_photo_x2", "espcn_photo_x4", "resblock_photo"])
def test_blind_recipes_degrade_as_published(compose_config: Compose, recipe: str) -> None:
    config = compose_config([f"experiment={recipe}"])
    assert config.data.degrade._target_ == "sr.data.degrade.photo.Photo"
    assert config.data.patch == 48 * config.scale == 48 * config.model.scale
    assert config.scale == (4 if recipe.endswith("x4") else 2)
