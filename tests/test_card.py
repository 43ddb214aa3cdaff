import json
import shlex
import shutil
from pathlib import Path

import pytest
import safetensors
import torch
from PIL import Image

from sr.card import write_card
from sr.cli import main
from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.nets.espcn import ESPCN
from sr.weights.checkpoint import load_network, network_config
from tests.support.run_folders import RunFolders
from tests.support.run_folders import config as run_config


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run for x2, whose validation images have PSNR 28.40 and input 27.75."""
    settings = run_config() | {"scale": 2}
    command = "python -m sr.train data.root=/home/me/x hydra.run.dir=/home/me/y scale=2"
    folder = RunFolder(
        RunFolders(tmp_path)("espcn_mse_adam", [0.5, 0.6, 0.7, 0.8], scale=2, config=settings, command=command)
    )
    folder.checkpoints.mkdir()
    state = {f"net.{name}": value for name, value in ESPCN(scale=2).state_dict().items()}
    config = network_config({"_target_": "sr.nets.espcn.ESPCN", "scale": 2}, 2, "rgb")
    torch.save({"state_dict": state, "sr": config}, folder.best)
    return folder.path


def test_a_card_says_data_scores_and_command_without_paths_of_this_machine(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "hub" / "mine"
    main(["export", str(run), "-o", str(folder), "--card"])
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}: written",
        "licence: unknown: name it in README.md before you publish",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: sr\npipeline_tag: image-to-image\ntags: [super-resolution]\n---\n")
    assert "| val images, rgb | 28.40 | 27.75 | +0.65 |" in card
    assert "python -m sr.train data.root=DIR scale=2" in card
    assert "/home" not in card
    assert json.loads((folder / "config.json").read_text())["model"]["_target_"] == "sr.nets.espcn.ESPCN"
    with safetensors.safe_open(folder / "model.safetensors", framework="pt") as file:
        assert file.metadata()["format"] == "pt"
    net, _ = load_network(folder / "model.safetensors")
    assert net(torch.zeros(1, 3, 8, 9)).shape == (1, 3, 16, 18)


def test_a_card_of_a_model_that_loses_to_its_input_says_so(run: Path, tmp_path: Path) -> None:
    text = RunFolder(run).result.read_text()
    record = json.loads(text)
    record["scores"]["val"]["psnr"]["mean"] = 20.0
    RunFolder(run).result.write_text(json.dumps(record))
    write_card(RunFolder(run).best, tmp_path / "card")
    assert (
        "**It does not beat its input: no model at all would be better.**" in (tmp_path / "card/README.md").read_text()
    )


def test_a_card_of_other_weights_below_a_run_says_no_scores(run: Path, tmp_path: Path) -> None:
    best, other = RunFolder(run).best, run / "other" / "espcn.ckpt"
    other.parent.mkdir()
    for path in (other, best.with_name("last.ckpt")):
        shutil.copy(best, path)
        lines = write_card(path, tmp_path / path.stem)
        assert "no record of its training: the card says neither data nor scores" in lines
        assert "28.40" not in (tmp_path / path.stem / "README.md").read_text()


def test_a_folder_that_holds_something_is_refused(run: Path) -> None:
    with pytest.raises(UserError, match="is not empty"):
        write_card(RunFolder(run).best, run)


def test_a_shipped_network_has_its_licence_and_its_scores_in_its_card(tmp_path: Path) -> None:
    from sr.weights import zoo

    assert write_card(zoo.find("espcn_x2"), tmp_path / "card") == []
    card = (tmp_path / "card" / "README.md").read_text()
    assert "license: mit" in card
    assert "| Set5 x2, y | " in card


def test_the_command_of_a_card_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sr.weights import zoo

    write_card(zoo.find("vdsr"), tmp_path / "card")
    (line,) = [line for line in (tmp_path / "card" / "README.md").read_text().splitlines() if "sr predict" in line]
    Image.new("RGB", (12, 10)).save(tmp_path / "card" / "photo.jpg")
    monkeypatch.chdir(tmp_path / "card")
    main(shlex.split(line)[1:])
    assert Image.open("large.png").size == (24, 20)


def test_a_card_counts_the_training_images_alone_and_names_the_package_to_trust(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads(RunFolder(run).result.read_text())
    record["data"]["images"] = {"train": 16, "val": 5, "test": 4}
    RunFolder(run).result.write_text(json.dumps(record))
    monkeypatch.setattr("sr.card.needs_trust", lambda target: True)
    write_card(RunFolder(run).best, tmp_path / "card")
    card = (tmp_path / "card" / "README.md").read_text()
    assert ", 16 images, split by photograph" in card
    assert "sr predict photo.jpg -m model.safetensors -o large.png --trust sr.nets\n" in card
