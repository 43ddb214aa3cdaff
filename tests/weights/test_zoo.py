import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from sr.benchmark.evaluate import evaluate
from sr.cli import main
from sr.errors import UserError
from sr.nets.espcn import ESPCN
from sr.nets.vdsr import VDSR
from sr.weights import zoo
from sr.weights.checkpoint import load_network, network_config, save_network
from sr.weights.find import find_model
from tests.support.runs import MakeFolder

SHIPPED = zoo.entries()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo with one small network for x2 and x3."""
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "weights")
    zoo.FOLDER.mkdir()
    net = VDSR(num_blocks=1, channels=4)
    net.tail.weight.data.normal_(std=0.01)
    model = {"_target_": "sr.nets.vdsr.VDSR", "scale": 1, "num_blocks": 1, "channels": 4}
    save_network(zoo.FOLDER / "small.safetensors", net, network_config(model, 1, "y", [2, 3]))
    score = {"data": "Set5", "scale": 2, "protocol": "y", "psnr": 36.5, "ssim": 0.95, "bicubic_psnr": 33.66}
    score["multiply_adds"] = 15_000_000
    metadata = {"network": "VDSR", "parameters": 371, "scores": [score]}
    (zoo.FOLDER / "small.json").write_text(json.dumps(metadata))
    return zoo.FOLDER


def test_a_network_of_the_zoo_is_found_by_its_name_and_enlarges_by_its_scales(
    folder: Path, make_folder: MakeFolder
) -> None:
    for scale in (2, 3):
        model = find_model("small", scale)
        assert model.label == "small"
        assert model.nets[0](torch.rand(1, 3, 4, 5)).shape == (1, 3, 4 * scale, 5 * scale)
    rows = [*evaluate([find_model("small", 2)], [make_folder(count=1)], scale=2)]
    assert [row.model.label for row in rows] == ["bicubic", "small"]
    with pytest.raises(UserError, match="is a network for scale 2 or 3, not 4"):
        find_model("small", 4)
    with pytest.raises(
        UserError, match=r"large: no such checkpoint, run folder, model of others .*, or name of sr models \(small\)"
    ):
        find_model("large", 2)
    with pytest.raises(UserError, match=r"smal: no such checkpoint.*; did you mean small\?"):
        find_model("smal", 2)


def test_the_list_shows_scores_next_to_bicubic(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["models"])
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == ["Set5", "x2", "small", "VDSR", "371", "0.01", "G", "y", "36.50", "+2.84", "0.9500"]


def test_the_list_puts_the_largest_gain_first_and_the_cheaper_of_equal_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, psnr, cost in [("better", 37.0, 9), ("equal_dear", 36.5, 16_000_000), ("equal_cheap", 36.5, 14_000_000)]:
        about = json.loads((folder / "small.json").read_text())
        about["scores"][0] |= {"psnr": psnr, "multiply_adds": cost}
        (folder / f"{name}.json").write_text(json.dumps(about))
        (folder / f"{name}.safetensors").touch()
    main(["models"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines[1:5]] == ["better", "equal_cheap", "small", "equal_dear"]


def test_missing_weights_are_reported(folder: Path) -> None:
    (folder / "small.safetensors").unlink()
    with pytest.raises(UserError, match=r"small\.safetensors: is missing: reinstall sr"):
        zoo.entries()


def test_weights_are_loaded_as_they_were_saved(tmp_path: Path) -> None:
    net = ESPCN(scale=3)
    config = network_config({"_target_": "sr.nets.espcn.ESPCN", "scale": 3}, 3, "y")
    save_network(tmp_path / "a.safetensors", net, config)
    loaded_net, loaded_config = load_network(tmp_path / "a.safetensors")
    assert loaded_config == config
    assert all(torch.equal(value, loaded_net.state_dict()[name]) for name, value in net.state_dict().items())


def test_foreign_damaged_and_hostile_safetensors_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    valid_content = safetensors.torch.save(
        {"net.x": torch.zeros(1)}, {"sr": json.dumps({"model": {"_target_": "os.system"}})}
    )
    for content, message in (
        (valid_content, "'os.system', which is not a network"),
        (valid_content[: len(valid_content) - 2], "cannot be read as a checkpoint; no code in it was run"),
        (b"\xff" * 64, "cannot be read as a checkpoint"),
        (safetensors.torch.save({"x": torch.zeros(1)}), "is not a checkpoint of sr"),
        (safetensors.torch.save({"x": torch.zeros(1)}, {"sr": "{"}), "cannot be read as a checkpoint"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=message) as error:
            load_network(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, id=entry.name, marks=() if entry.name == "espcn_x2" else pytest.mark.slow)
        for entry in SHIPPED
    ],
)
def test_a_shipped_network_reproduces_its_recorded_scores(entry: zoo.Entry, shared: Path) -> None:
    for recorded in entry.about["scores"]:
        if not (shared / recorded["data"]).is_dir():
            continue
        _, row = evaluate(
            [find_model(entry.name, recorded["scale"])], [shared / recorded["data"]], scale=recorded["scale"]
        )
        assert row.psnr == pytest.approx(recorded["psnr"], abs=0.001)
        assert row.ssim == pytest.approx(recorded["ssim"], abs=1e-4)
        assert recorded["psnr"] > recorded["bicubic_psnr"] + 0.5
