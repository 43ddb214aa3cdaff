"""Validation and test images in folders of their own."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from PIL import Image

from sr.data.pairs import load_pair
from sr.data.parts import find_parts
from sr.data.sources import Source, demo_photographs, image_folder
from sr.datamodule import ISRDataModule
from sr.errors import UserError
from sr.image import crop_to_multiple, resize, to_float, to_uint8
from sr.io.images import read_image
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.terms import Part
from tests.support.images import photograph
from tests.support.runs import Command, Compose, MakeFolder, result_of


def photographs(folder: Path, *seeds: int) -> Path:
    folder.mkdir(parents=True)
    for seed in seeds:
        photograph(48, 64, seed=seed).save(folder / f"{seed}.png")
    return folder


def built(root: Path, **settings: object) -> ISRDataModule:
    module = ISRDataModule(image_folder, str(root), patch=32, **settings)  # type: ignore[arg-type]
    module.setup()
    return module


def names(module: ISRDataModule) -> dict[str, set[str]]:
    parts: dict[str, set[str]] = {part: set() for part in Part}
    for row in module.image_list():
        parts[row["part"]].add(row["name"])
    return parts


def test_validation_and_test_folders_replace_the_parts_that_would_be_drawn(tmp_path: Path) -> None:
    root = photographs(tmp_path / "root", *range(10))
    val, test = photographs(tmp_path / "v", 20, 21), photographs(tmp_path / "t", 30)
    drawn = names(built(root))
    with_val = names(built(root, val_root=str(val)))
    assert with_val[Part.VAL] == {"val/20", "val/21"}
    assert with_val[Part.TEST] == drawn[Part.TEST]
    assert with_val[Part.TRAIN] == drawn[Part.TRAIN] | drawn[Part.VAL]
    with_test = names(built(root, test_root=str(test)))
    assert with_test[Part.TEST] == {"test/30"}
    assert len(with_test[Part.VAL]) == 1
    assert len(with_test[Part.TRAIN]) == 9
    both = built(root, val_root=str(val), test_root=str(test))
    assert both.counts() == {"train": 10, "val": 2, "test": 1}
    assert {name for batch in both.test_dataloader() for name in batch["name"]} == {"test/30"}


def test_folders_of_ones_own_may_have_any_layout_and_be_several(tmp_path: Path) -> None:
    root = photographs(tmp_path / "root", *range(4))
    photographs(tmp_path / "Set5" / "HR", 20)
    (tmp_path / "Set5" / "LR_bicubic" / "X2").mkdir(parents=True)
    photograph(48, 64, seed=20).resize((32, 24)).save(tmp_path / "Set5" / "LR_bicubic" / "X2" / "20x2.png")
    more = photographs(tmp_path / "more", 20 + 1)
    sources = find_parts(image_folder, str(root), scale=2, val_root=[str(tmp_path / "Set5"), str(more)])
    assert [(source.name, bool(source.lr)) for source in sources if source.part] == [
        ("val/Set5/20", True),
        ("val/more/21", False),
    ]


def test_a_folder_called_by_a_number_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root, _ = photographs(tmp_path / "root", *range(4)), photographs(tmp_path / "2024", 20)
    folder: Any = 2024  # as YAML reads it
    sources = find_parts(image_folder, str(root), scale=2, val_root=folder)
    assert [source.name for source in sources if source.part] == ["val/20"]


def test_a_name_in_two_folders_stays_unique(tmp_path: Path) -> None:
    roots = [str(photographs(tmp_path / name, 0, 1)) for name in ("val", "b")]
    held = photographs(tmp_path / "held", 9)
    sources = find_parts(image_folder, roots, scale=2, val_root=str(held))
    assert [source.name for source in sources] == ["val/0", "val/1", "b/0", "b/1", "val_root/9"]


def test_identical_images_in_two_parts_are_refused_by_name(tmp_path: Path) -> None:
    root, val = photographs(tmp_path / "root", *range(5)), photographs(tmp_path / "v", 20)
    shutil.copy(root / "3.png", val / "same.png")
    message = (
        "1 of the validation images are also images of data.root (val/same is 3): remove them from one of the folders"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        built(root, val_root=str(val))
    with pytest.raises(
        UserError, match=re.escape("2 of the test images are also validation images (test/20 is val/20")
    ):
        built(photographs(tmp_path / "other", 1, 2), val_root=str(val), test_root=str(val))


def test_near_identical_images_are_left_out_of_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, val = photographs(tmp_path / "root", *range(6)), photographs(tmp_path / "v", 20)
    Image.open(root / "3.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(val / "mirrored.png")
    module = built(root, val_root=str(val), test_share=0.0)
    assert names(module)[Part.TRAIN] == {"0", "1", "2", "4", "5"}
    assert names(module)[Part.VAL] == {"val/20", "val/mirrored"}
    assert caplog.messages == ["1 image is left out that near-identical images are held out of: 3 shows val/mirrored"]
    unaware = built(root, val_root=str(val), test_share=0.0, group_near_identical=False)
    assert len(names(unaware)[Part.TRAIN]) == 6


def test_the_whole_photograph_of_a_tile_is_left_out(tmp_path: Path) -> None:
    root, val = photographs(tmp_path / "root", 0, 1), tmp_path / "v"
    for number, name in ((2, "0002_s001"), (3, "0002_s002")):
        photograph(48, 64, seed=number).save(root / f"{name}.png")
    for number in (0, 1):
        (root / f"{number}.png").rename(root / f"000{number}_s001.png")
    val.mkdir()
    photograph(48, 64, seed=3).save(val / "tile.bmp")
    module = built(root, val_root=str(val), test_share=0.0)
    assert names(module)[Part.TRAIN] == {"0000_s001", "0001_s001"}


def test_folds_and_a_validation_folder_exclude_each_other(tmp_path: Path) -> None:
    root, val = photographs(tmp_path / "root", *range(6)), photographs(tmp_path / "v", 20)
    with pytest.raises(UserError, match=r"leave out data\.folds or data\.val_root"):
        built(root, val_root=str(val), folds=3)
    module = built(root, test_root=str(val), folds=3)
    assert module.counts() == {"train": 4, "val": 2, "test": 1}


def test_official_validation_images_are_used_and_others_named_take_their_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photographs(tmp_path / "DIV2K" / "DIV2K_train_HR", *range(6))
    official = photographs(tmp_path / "DIV2K" / "DIV2K_valid_HR", 20, 21)
    root, other = tmp_path / "DIV2K", photographs(tmp_path / "v", 30)
    for settings, expected, said in (
        ({}, {"val/20", "val/21"}, "is used for validation (data.val_root=DIR names other images)"),
        ({"val_root": str(other)}, {"val/30"}, "is not used: data.val_root is set"),
        ({"folds": 3}, 2, "is not used: data.folds is set"),
    ):
        caplog.clear()
        found = names(built(root, test_share=0.0, scale=2, **settings))[Part.VAL]
        assert found == expected or (len(found) == expected and not any("/" in name for name in found))
        assert f"{official}: {said}" in caplog.messages


def test_a_folder_of_ones_own_that_does_not_exist_is_named_with_its_option(command: Command, tmp_path: Path) -> None:
    root = photographs(tmp_path / "root", *range(5))
    code, text = command("data=folder", f"data.root={root}", f"data.test_root={tmp_path}/no")
    assert (code, text) == (2, f"error: {tmp_path}/no: no such folder (data.test_root)\n")
    assert not (tmp_path / "run").exists()


def test_an_option_that_the_source_of_the_images_does_not_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.high_res: demo_photographs does not read it"):
        find_parts(demo_photographs, None, scale=2, high_res=str(tmp_path))
    sources = find_parts(demo_photographs, None, scale=2, val_root=str(photographs(tmp_path / "v", 1)))
    assert [source.name for source in sources if source.part] == ["val/1"]


def test_a_source_of_a_users_own_reads_the_other_folders_too(tmp_path: Path) -> None:
    def find(root: str) -> list[Source]:
        return [Source(root, root, tmp_path / root)]

    assert [source.name for source in find_parts(find, "a", scale=2, test_root="b")] == ["a", "test/b"]


def test_rotated_copies_are_made_of_training_images_alone(compose_config: Compose, tmp_path: Path) -> None:
    root, val = photographs(tmp_path / "root", *range(5)), photographs(tmp_path / "v", 20)
    options = [
        "data=folder",
        f"data.root={root}",
        f"data.val_root={val}",
        "data.augment.rotate45=true",
        "data.patch=16",
    ]
    module = instantiate(compose_config(options).data)
    module.setup()
    copies = {source.name for source in module.store.sources if source.rotated}
    assert copies == {f"{number}@45" for number in range(5)}


def test_shrunk_copies_are_trained_on_and_are_no_other_data(compose_config: Compose, tmp_path: Path) -> None:
    root, val = photographs(tmp_path / "root", 0, 1), photographs(tmp_path / "v", 20)
    options = ["data=folder", "scale=2", f"data.root={root}", f"data.val_root={val}", "data.patch=8"]
    alone, module = (
        instantiate(compose_config([*options, f"data.augment.sizes={sizes}"]).data) for sizes in ("[]", "[0.75,0.5]")
    )
    alone.setup()
    module.setup()
    stored = {source.name: index for index, source in enumerate(module.store.sources)}
    assert {name for name in stored if "@" in name} == {"0@0.75", "0@0.5", "1@0.75", "1@0.5"}
    assert (module.counts(), module.fingerprint) == (alone.counts(), alone.fingerprint)
    assert len(module.train_dataloader().dataset.indices) == 6
    image = module.store[stored["0"]][1]
    lr, hr = module.store[stored["0@0.5"]]
    assert torch.equal(hr, crop_to_multiple(to_uint8(resize(to_float(image).double()[None], 0.5))[0], 2))
    assert (2 * lr.shape[1], 2 * lr.shape[2]) == hr.shape[1:]


def test_a_copy_that_is_too_small_is_named(tmp_path: Path) -> None:
    photograph(20, 40).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: 20x10 pixels, .*: leave 0\.5 out of data\.augment\.sizes"):
        load_pair(Source("a", "a", tmp_path / "a.png", size=0.5), 2, 2)


def test_sizes_of_copies_are_checked(compose_config: Compose, make_folder: MakeFolder) -> None:
    for sizes in ("[0]", "[0.5,1]", "[1.5]"):
        with pytest.raises(InstantiationException, match=r"data\.augment\.sizes: every one must lie between 0 and 1"):
            instantiate(compose_config(["data=isr", f"data.augment.sizes={sizes}"]).data)
    with pytest.raises(InstantiationException, match="names a size twice"):
        instantiate(compose_config(["data=isr", "data.augment.sizes=[0.9,0.9]"]).data)
    pairs = ["data=isr", "scale=2", f"data.root={make_folder(low_scale=2)}", "data.augment.sizes=[0.5]"]
    with pytest.raises(UserError, match=r"data\.augment\.sizes would derive the low resolution of copies"):
        instantiate(compose_config(pairs).data).setup()


def test_a_run_validates_and_tests_on_folders_of_ones_own_and_is_resumed_with_the_same(
    command: Command, tmp_path: Path, make_folder: MakeFolder
) -> None:
    root, val, test = make_folder(count=6), photographs(tmp_path / "v", 20), photographs(tmp_path / "t", 30, 31)
    options = ["data=folder", f"data.root={root}", "scale=2", "trainer.max_epochs=1", "test=true", "model.channels=8"]
    code, text = command(*options, f"data.val_root={val}", f"data.test_root={test}")
    assert code == 0, text
    assert (
        f"data         {root}, validation {val}, test {test}: train 6 images (6 photographs), validation 1 (1)" in text
    )
    rows = {row["name"]: row["part"] for row in read_table(RunFolder(tmp_path / "run").split)}
    assert rows == {
        **{str(number): "train" for number in range(6)},
        "val/20": "val",
        "test/30": "test",
        "test/31": "test",
    }
    assert result_of(tmp_path / "run")["data"]["images"] == {"train": 6, "val": 1, "test": 2}
    moved = val.rename(tmp_path / "moved")
    code, text = command(*options, f"data.val_root={moved}", f"data.test_root={test}")
    assert (code, "done before" in text) == (0, True), text
    changed = photographs(tmp_path / "changed", 77)
    (changed / "77.png").rename(changed / "20.png")
    code, text = command(*options, f"data.val_root={changed}", f"data.test_root={test}")
    assert code == 2, text
    assert "1 changed (val/20)" in text


def test_names_of_low_resolution_may_be_given_without_quotes(command: Command, tmp_path: Path) -> None:
    root = photographs(tmp_path / "root", *range(6))
    for number in range(6):
        photograph(48, 64, seed=number).resize((32, 24)).save(root / f"{number}_x2small.png")
    options = ["data=folder", f"data.root={root}", "scale=2", "trainer.max_epochs=1", "model.channels=8"]
    code, text = command(*options, "data.low_res_name={stem}_x{scale}small")
    assert code == 0, text
    assert "x2, low resolution from root/" in text
    assert read_image(root / "0.png").shape == (3, 48, 64)
