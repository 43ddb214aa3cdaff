"""Models scored on inputs that are degraded as in their training, or as asked for."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from sr.benchmark.evaluate import evaluate
from sr.benchmark.named_degradations import named_degradations
from sr.benchmark.tables import write_rows
from sr.data.degrade.jpeg import Jpeg
from sr.data.folders.named import FolderOptions
from sr.data.pairs import load_pair
from sr.data.sources import one_set
from sr.errors import UserError
from sr.image import resize, to_float
from sr.metrics import score
from sr.nets.espcn import ESPCN
from sr.train import config_dir
from sr.weights.checkpoint import network_config, save_network
from sr.weights.find import find_model
from sr.weights.model import Model
from tests.support.images import photograph

JPEG = {"_target_": "sr.data.degrade.jpeg.Jpeg", "quality": [30, 40]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    for number in range(2):
        photograph(32, 40, seed=number).save(path / f"{number}.png")
    return path


def trained_on(path: Path, degrade: dict[str, Any] | None) -> Model:
    config = network_config({"_target_": "sr.nets.espcn.ESPCN", "scale": 2}, 2, "rgb", None, None, degrade)
    save_network(path, ESPCN(2), config)
    return find_model(str(path))


def test_a_model_is_scored_on_the_degradation_of_its_training(tmp_path: Path, folder: Path) -> None:
    rows = [*evaluate([trained_on(tmp_path / "a.safetensors", JPEG)], [folder], scale=2, protocol="rgb")]
    assert {row.data for row in rows} == {"photos (jpeg)"}
    psnrs = []
    for source in one_set(folder, FolderOptions(2)):
        lr, hr = load_pair(source, 2, 2, degradation=Jpeg((30, 40)))
        enlarged = resize(to_float(lr[None]).double(), 2)
        psnrs.append(float(score(enlarged, to_float(hr[None]), rows[0].protocol, 2)["psnr"]))
    assert [image.psnr for image in rows[0].images] == pytest.approx(psnrs)


def test_the_default_is_not_recorded_and_changes_no_name_and_no_fingerprint(tmp_path: Path, folder: Path) -> None:
    default = {"_target_": "sr.data.degrade.bicubic.Bicubic"}
    model = trained_on(tmp_path / "a.safetensors", default)
    assert model.degrade is None
    plain = [*evaluate([model], [folder], scale=2)]
    named_so = [*evaluate([model], [folder], scale=2, degradations=named_degradations("bicubic", config_dir()))]
    assert {row.data for row in plain} == {"photos"}
    assert {row.data for row in named_so} == {"photos (bicubic)"}
    assert plain[0].fingerprint == named_so[0].fingerprint
    assert plain[0].psnr == named_so[0].psnr


def test_degradations_that_are_asked_for_have_rows_and_fingerprints_of_their_own(tmp_path: Path, folder: Path) -> None:
    names = ("bicubic", "blur", "jpeg")
    degradations = named_degradations(",".join(names), config_dir())
    model = trained_on(tmp_path / "a.safetensors", JPEG)
    rows = [*evaluate([model], [folder], scale=2, degradations=degradations)]
    assert [row.data for row in rows] == [f"photos ({name})" for name in names for _ in range(2)]
    assert len({row.fingerprint for row in rows}) == 3
    assert len({tuple(row.contents) for row in rows}) == 1  # of the high resolution alone
    assert len(set(rows[0].contents)) == len(rows[0].images)
    again = [*evaluate([model], [folder], scale=2, degradations=degradations)]
    assert [row.psnr for row in again] == [row.psnr for row in rows]


def test_what_was_trained_on_and_scored_on_is_recorded_for_the_report(tmp_path: Path, folder: Path) -> None:
    degradations = named_degradations("bicubic,jpeg:quality=[30,40]", config_dir())
    models = [trained_on(tmp_path / "a.safetensors", JPEG), trained_on(tmp_path / "b.safetensors", None)]
    write_rows([*evaluate(models, [folder], scale=2, degradations=degradations)], None, None, tmp_path / "scores")
    recorded = [json.loads(path.read_text())[0] for path in sorted((tmp_path / "scores").glob("a/evaluations/*"))]
    assert [row["data_set"] for row in recorded] == ["photos", "photos"]
    assert {row["degradation"] for row in recorded} == {"bicubic", "jpeg:quality=[30,40]"}
    by_name = {row["degradation"]: row["degraded_by"] for row in recorded}
    assert {row["trained_on"] for row in recorded} == {by_name["jpeg:quality=[30,40]"]}
    (of_other,) = {json.loads(path.read_text())[0]["trained_on"] for path in (tmp_path / "scores").glob("b/*/*")}
    assert of_other == by_name["bicubic"]


def test_models_of_different_degradations_are_not_compared_in_silence(tmp_path: Path, folder: Path) -> None:
    models = [trained_on(tmp_path / "a.safetensors", JPEG), trained_on(tmp_path / "b.safetensors", None)]
    with pytest.raises(UserError, match=r"different degradations, bicubic and jpeg\(quality=\[30, 40\]\): name those"):
        next(iter(evaluate(models, [folder], scale=2)))


def test_files_of_low_resolution_that_are_not_used_are_said(
    tmp_path: Path, make_folder: Any, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_folder(count=2, low_scale=2)
    model = trained_on(tmp_path / "a.safetensors", JPEG)
    with caplog.at_level(logging.WARNING):
        rows = [*evaluate([model], [root], scale=2)]
    assert "2 of 2 images have files of low resolution, not jpeg" in caplog.text
    assert "jpeg" not in rows[0].data
    with caplog.at_level(logging.WARNING):
        rows = [*evaluate([model], [root], scale=2, degradations={"jpeg": Jpeg()})]
    assert "its files of low resolution are not used: --degrade jpeg derives it" in caplog.text
    assert "(jpeg)" in rows[0].data


@pytest.mark.parametrize("target", ["os.system", "sr.nets.espcn.ESPCN", "sr.data.degrade.nowhere.Blur"])
def test_a_checkpoint_can_name_degradations_alone(tmp_path: Path, folder: Path, target: str) -> None:
    model = trained_on(tmp_path / "a.safetensors", {"_target_": target})
    with pytest.raises(UserError, match=r"--trust|not a degradation|cannot be built"):
        next(iter(evaluate([model], [folder], scale=2)))


def test_torch_weights_keep_the_degradation(tmp_path: Path) -> None:
    assert trained_on(tmp_path / "a.safetensors", JPEG).degrade == JPEG
    assert torch.is_tensor(next(trained_on(tmp_path / "a.safetensors", JPEG).nets[0].parameters()))
