import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from PIL import Image

from sr.data.batches import Augment
from sr.data.pairs import derive_lr
from sr.data.sources import demo_photographs, image_folder
from sr.datamodule import ISRDataModule
from sr.errors import UserError
from sr.image import resize, to_float, to_uint8
from sr.io.images import read_image, to_pil
from sr.terms import Part
from tests.support.images import photograph
from tests.support.runs import Compose, MakeFolder


def build(compose_config: Compose, *overrides: str) -> ISRDataModule:
    module: ISRDataModule = instantiate(compose_config(["data=isr", *overrides]).data)
    return module


def folder_of_one(folder: Path, name: str, size: tuple[int, int]) -> Path:
    folder.mkdir()
    photograph(*size).save(folder / name)
    return folder


def names(loader: object) -> set[str]:
    return {name for batch in loader for name in batch["name"]}  # type: ignore[attr-defined]


def test_loaders_give_disjoint_images(compose_config: Compose, make_folder: MakeFolder) -> None:
    module = build(compose_config, f"data.root={make_folder(count=20)}", "data.patch=32", "data.batch_size=3")
    module.setup()
    val, scored = (names(loader) for loader in module.val_dataloader())
    train, test = names(module.train_dataloader()), names(module.test_dataloader())
    assert (len(train), len(val), len(test)) == (14, 2, 4)
    assert train.isdisjoint(val | test)
    assert val.isdisjoint(test)
    assert scored < train
    assert len(scored) == 8
    assert module.counts() == {"train": 14, "val": 2, "test": 4}


@pytest.mark.parametrize(
    ("device", "cache", "expected"), [("cpu", "memory", False), ("cuda", "memory", True), ("cuda", "device", False)]
)
def test_batches_for_a_gpu_are_pinned_unless_they_lie_there(
    device: str, cache: str, expected: bool, compose_config: Compose, make_folder: MakeFolder
) -> None:
    module = build(compose_config, f"data.root={make_folder(count=10)}", "data.patch=32", f"data.cache={cache}")
    module.setup()
    fit_loop = SimpleNamespace(epoch_loop=SimpleNamespace())
    strategy = SimpleNamespace(root_device=torch.device(device))
    trainer = SimpleNamespace(strategy=strategy, world_size=1, global_rank=0, current_epoch=0, fit_loop=fit_loop)
    module.trainer = trainer  # type: ignore[assignment]
    loaders = [module.train_dataloader(), *module.val_dataloader(), module.test_dataloader()]
    assert [loader.pin_memory for loader in loaders] == [expected] * 4


def test_tiles_and_rotated_copies_of_a_photograph_stay_in_one_part_of_the_split(compose_config: Compose) -> None:
    module = instantiate(compose_config(["data=demo", "data.augment.rotate45=true", "data.repeat=1"]).data)
    module.setup()
    group = {source.name: source.group for source in demo_photographs()}
    train = names(module.train_dataloader())
    assert any(name.endswith("@45") for name in train)
    parts = [train, names(module.val_dataloader()[0]), names(module.test_dataloader())]
    assert not any(name.endswith("@45") for name in parts[1] | parts[2])
    groups = [{group[name.removesuffix("@45")] for name in part} for part in parts]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 9


def test_batches_become_float_on_their_device_and_keep_their_alignment(
    compose_config: Compose, make_folder: MakeFolder
) -> None:
    root = make_folder(count=8, low_scale=2)
    module = build(compose_config, f"data.root={root}", "scale=2", "data.patch=24", "data.batch_size=4")
    module.setup()
    raw = next(iter(module.train_dataloader()))
    batch = module.on_after_batch_transfer(raw, 0)
    assert batch["lr"].shape == (4, 3, 12, 12)
    assert batch["hr"].shape == (4, 3, 24, 24)
    assert batch["hr"].dtype == torch.float32
    assert 0 <= batch["hr"].min() <= batch["hr"].max() <= 1
    coarse = torch.nn.functional.avg_pool2d(batch["hr"], 2)
    mirrored = torch.nn.functional.avg_pool2d(batch["hr"].flip(-1), 2)
    assert (coarse - batch["lr"]).abs().mean() < 0.5 * (mirrored - batch["lr"]).abs().mean()


def test_folds_validate_each_image_once(compose_config: Compose, make_folder: MakeFolder) -> None:
    root = make_folder(count=12)
    seen: list[str] = []
    for fold in range(3):
        module = build(compose_config, f"data.root={root}", "data.patch=32", "data.folds=3", f"data.fold={fold}")
        module.setup()
        seen += names(module.val_dataloader()[0])
    assert len(seen) == len(set(seen)) == 10


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.patch=50"], "data.patch=50 is larger than .* (64x48): set data.patch=48 or less"),
        (["data.patch=33", "scale=2"], "data.patch=33 must be a positive multiple of scale=2"),
        (["data.patch=0"], "data.patch=0 must be a positive multiple"),
        (["data.batch_size=0"], "data.batch_size must be an integer of 1 or more"),
        (["data.repeat=0"], "data.repeat must be"),
        (["data.shrink=0"], "data.shrink must be"),
        (["data.train_scored=-1"], "data.train_scored must be"),
        (["data.patch=32", "data.folds=9"], "data.folds=9 needs 9 source images"),
        (["data.cache=ram"], "data.cache must be one of"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(
    compose_config: Compose, make_folder: MakeFolder, overrides: list[str], message: str
) -> None:
    root = make_folder(count=10)
    with pytest.raises(Exception, match=re.escape(message).replace(r"\.\*", ".*")) as caught:
        build(compose_config, f"data.root={root}", *overrides).setup()
    cause: BaseException | None = caught.value
    while cause is not None and not isinstance(cause, UserError):
        cause = cause.__cause__
    assert isinstance(cause, UserError)


def test_whole_images_of_several_sizes_need_batches_of_one(compose_config: Compose, make_folder: MakeFolder) -> None:
    root = make_folder(count=10)
    for number in range(10):
        photograph(40 + number, 64, seed=number).save(root / "high_res" / f"{number}.png")
    with pytest.raises(UserError, match=r"cannot form batches: set data\.patch=N"):
        build(compose_config, f"data.root={root}", "data.patch=null").setup()
    module = build(compose_config, f"data.root={root}", "data.patch=null", "data.batch_size=1")
    module.setup()
    assert len({batch["hr"].shape for batch in module.train_dataloader()}) > 1


def test_the_test_loader_is_refused_without_test_images(compose_config: Compose, make_folder: MakeFolder) -> None:
    module = build(compose_config, f"data.root={make_folder()}", "data.patch=32", "data.test_share=0")
    module.setup()
    with pytest.raises(UserError, match="no test images are held out"):
        module.test_dataloader()


def test_several_scales_give_each_image_once_per_scale_in_one_part_of_the_split(make_folder: MakeFolder) -> None:
    root = make_folder(count=8, size=(50, 62))
    data = ISRDataModule(image_folder, str(root), scales=[2, 3], patch=24, batch_size=4)
    data.setup()
    assert len(data.store) == 16
    assert not data.duplicates
    parts = [{data.store.sources[index].group for index in data._indices(part)} for part in Part]
    assert sum(len(groups) for groups in parts) == 8
    index = next(index for index, source in enumerate(data.store.sources) if source.name == "3@x3")
    lr, hr = data.store[index]
    image = read_image(root / "high_res" / "3.png")
    assert lr.shape == hr.shape == (3, 48, 60)
    assert torch.equal(hr, image[:, :48, :60])
    small = to_float(derive_lr(hr, 3, 2)).double()[None]
    assert torch.equal(lr, to_uint8(resize(small, 3)[0]))


def test_several_scales_need_scale_1_and_no_low_res_folder(make_folder: MakeFolder) -> None:
    for scale, scales in ((2, [2]), (1, []), (1, [1]), (1, [2, 2])):
        with pytest.raises(UserError, match=r"data\.scales"):
            ISRDataModule(image_folder, "x", patch=24, scale=scale, scales=scales)
    data = ISRDataModule(image_folder, str(make_folder(low_scale=2)), scales=[2], patch=24)
    with pytest.raises(UserError, match="remove low_res/"):
        data.setup()


def test_training_images_smaller_than_a_patch_are_skipped_on_request(
    make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_folder(count=10)
    photograph(20, 40).save(root / "high_res" / "small.png")
    settings: dict[str, Any] = {"patch": 32, "test_share": 0.0, "val_share": 0.1, "seed": 1}
    with pytest.raises(UserError, match=r"data\.patch=32 is larger than small"):
        ISRDataModule(image_folder, str(root), **settings).setup()
    data = ISRDataModule(image_folder, str(root), on_small_image="skip", **settings)
    with caplog.at_level("INFO"):
        data.setup()
    assert "1 of 10 training images are smaller than data.patch=32" in caplog.text
    assert "small" not in {data.store.sources[index].name for index in data._indices(Part.TRAIN)}
    assert all(batch["hr"].shape[-1] == 32 for batch in data.train_dataloader())
    with pytest.raises(UserError, match="larger than every training image"):
        ISRDataModule(image_folder, str(root), on_small_image="skip", **{**settings, "patch": 96}).setup()


def test_images_too_small_to_be_scored_are_skipped_on_request(
    make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_folder(count=10)
    photograph(10, 40).save(root / "high_res" / "thin.png")
    photograph(15, 40).save(root / "high_res" / "small.png")
    settings: dict[str, Any] = {"patch": 32, "test_share": 0.0, "val_share": 0.1, "seed": 1, "scale": 2}
    settings["augment"] = Augment(sizes=[0.6], rotate45=True)
    with pytest.raises(UserError, match="at least 11 a side are needed"):
        ISRDataModule(image_folder, str(root), **settings).setup()
    data = ISRDataModule(image_folder, str(root), on_small_image="skip", **settings)
    data.setup()
    assert "left out, with less than 11 pixels a side (data.on_small_image=skip)" in caplog.text
    assert "thin.png" in caplog.text
    names = {source.name for source in data.store.sources}
    assert "small" in names
    assert not {name for name in names if name.startswith(("thin", "small@"))}


def test_a_part_of_images_that_are_all_too_small_is_not_replaced_by_others(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    held = folder_of_one(tmp_path / "held", "a.png", (8, 8))
    settings: dict[str, Any] = {"patch": 24, "scale": 2, "on_small_image": "skip", "val_root": str(held)}
    with pytest.raises(UserError, match="held: every image has less than 11 pixels a side"):
        ISRDataModule(image_folder, str(make_folder(count=6)), **settings).setup()


def test_images_that_the_protocol_cannot_score_are_named_before_a_run_trains(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    held = folder_of_one(tmp_path / "held", "thin.png", (14, 40))
    settings: dict[str, Any] = {"patch": 24, "scale": 2, "test_root": str(held)}
    data = ISRDataModule(image_folder, str(make_folder(count=6)), **settings)
    data.setup()
    data.check_scored("rgb", test=True)
    data.check_scored("y", test=False)
    with pytest.raises(UserError, match=r"thin\.png: has 40x14 pixels, of which 2 at each border are not scored"):
        data.check_scored("y", test=True)


def test_suspicious_images_are_warned_about_before_a_run(
    compose_config: Compose, make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_folder(count=8, size=(96, 96), low_scale=2)
    low = read_image(root / "low_res" / "0.png")
    to_pil(low.roll(2, 2)).save(root / "low_res" / "0.png")
    to_pil(low).save(root / "low_res" / "1.png")
    Image.new("RGB", (96, 96)).save(root / "high_res" / "2.png")
    build(compose_config, f"data.root={root}", "scale=2", "data.patch=24").setup()
    assert [record.message for record in caplog.records if "check-data" in record.message] == [
        "1 of 8 images: of a single colour, such as 2 (see sr check-data)",
        "1 of 8 pairs checked: moved, such as 0 (see sr check-data)",
        "1 of 8 pairs checked: another picture, such as 1 (see sr check-data)",
    ]


def test_clean_images_cause_no_warning(
    compose_config: Compose, make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    build(compose_config, f"data.root={make_folder(low_scale=2)}", "scale=2", "data.patch=24").setup()
    assert "check-data" not in caplog.text


def test_tiles_of_a_photograph_have_its_name_as_their_group(compose_config: Compose) -> None:
    module = build(compose_config, "data=demo")
    module.setup()
    groups = {row["name"]: row["group"] for row in module.image_list()}
    assert {name: name.rsplit("_", 2)[0] for name in groups} == groups
    tiles = Counter(groups.values())
    assert set(tiles) == {path.hr.stem for path in demo_photographs()}
    assert (tiles["brick"], tiles["coffee"]) == (4, 2)
    validated = list(module.val_dataloader()[0])
    assert {batch["group"][0] for batch in validated} == module.split.val
    assert all(batch["group"][0] == groups[batch["name"][0]] for batch in validated)


def test_near_identical_images_and_factors_of_one_image_are_one_group(make_folder: MakeFolder) -> None:
    root = make_folder(count=8)
    Image.open(root / "high_res" / "3.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
        root / "high_res" / "copy.png"
    )
    data = ISRDataModule(image_folder, str(root), scales=[2, 3], patch=24, batch_size=4)
    data.setup()
    groups = {row["name"]: row["group"] for row in data.image_list()}
    assert {groups[name] for name in ("3@x2", "3@x3", "copy@x2", "copy@x3")} == {"3"}
    assert groups["4@x2"] == groups["4@x3"] == "4"


def test_the_seed_changes_the_crops_and_the_split_seed_the_split(
    compose_config: Compose, make_folder: MakeFolder
) -> None:
    root = make_folder(count=20)
    settings = (f"data.root={root}", "data.patch=32", "data.batch_size=64", "data.repeat=1")
    modules = [build(compose_config, *settings, f"data.seed={seed}") for seed in (1, 2, 1)]
    resplit = build(compose_config, *settings, "data.seed=1", "data.split_seed=2")
    for module in (*modules, resplit):
        module.setup()
    assert modules[0].split == modules[1].split == modules[2].split
    assert modules[0].split != resplit.split
    assert modules[0].fingerprint == modules[1].fingerprint
    first, other, same_seed = (next(iter(module.train_dataloader())) for module in modules)
    crops = [dict(zip(batch["name"], batch["hr"], strict=True)) for batch in (first, other, same_seed)]
    assert crops[0].keys() == crops[1].keys()
    assert any(not torch.equal(crops[0][name], crops[1][name]) for name in crops[0])
    assert all(torch.equal(crops[0][name], crops[2][name]) for name in crops[0])


def test_teardown_lets_the_next_data_module_close_the_images(compose_config: Compose, make_folder: MakeFolder) -> None:
    roots = [make_folder(count=10, name=name) for name in ("a", "b")]
    first, second = (build(compose_config, f"data.root={root}", "data.patch=32") for root in roots)
    first.setup()
    assert first.images
    store = first.images.store
    first.teardown()
    closed = [store.closed]  # the next run in this process may need the same images
    second.setup()
    assert [*closed, store.closed] == [False, True]
    second.teardown()


def test_stray_and_unpaired_files_do_not_stop_a_run_that_skips_bad_files(
    compose_config: Compose, make_folder: MakeFolder
) -> None:
    root = make_folder(count=10, low_scale=2)
    (root / "high_res" / "README.txt").touch()
    (root / "low_res" / "9.png").unlink()
    module = build(compose_config, f"data.root={root}", "scale=2", "data.patch=32", "data.on_bad_file=skip")
    module.setup()
    assert sum(module.counts().values()) == 9


def test_the_training_images_that_are_scored_come_from_many_photographs(compose_config: Compose) -> None:
    module = instantiate(compose_config(["data=demo", "data.train_scored=6"]).data)
    module.setup()
    group = {source.name: source.group for source in demo_photographs()}
    scored = names(module.val_dataloader()[1])
    assert len(scored) == 6
    assert scored < names(module.train_dataloader())
    assert len({group[name] for name in scored}) >= 3


@pytest.mark.parametrize(("count", "expected"), [(0, None), (3, 3), (100, 7)])
def test_as_many_training_images_are_scored_as_asked_for_and_there_are(
    compose_config: Compose, make_folder: MakeFolder, count: int, expected: int | None
) -> None:
    root = make_folder(count=10)
    module = build(compose_config, f"data.root={root}", "data.patch=32", f"data.train_scored={count}")
    module.setup()
    loaders = module.val_dataloader()
    assert (len(names(loaders[1])) if len(loaders) > 1 else None) == expected


def test_whole_images_say_whether_their_file_is_gray(compose_config: Compose, make_folder: MakeFolder) -> None:
    root = make_folder(count=10)
    for number in (1, 4, 7):
        path = root / "high_res" / f"{number}.png"
        Image.open(path).convert("L").save(path)
    module = build(compose_config, f"data.root={root}", "data.patch=32")
    module.setup()
    loaders = [*module.val_dataloader(), module.test_dataloader()]
    gray = {batch["name"][0] for loader in loaders for batch in loader if batch["stored_gray"]}
    assert gray == {"1", "4", "7"}


def test_the_border_of_an_image_is_the_factor_by_which_it_was_degraded(
    compose_config: Compose, make_folder: MakeFolder
) -> None:
    root = make_folder(count=10)
    for overrides, expected in ((["scale=2"], {2}), (["scale=1", "data.scales=[2,3,4]", "model=vdsr"], {2, 3, 4})):
        module = build(compose_config, f"data.root={root}", "data.patch=24", *overrides)
        module.setup()
        batches = [batch for loader in module.val_dataloader() for batch in loader]
        assert {batch["border"] for batch in batches} == expected
        moved = module.on_after_batch_transfer(module.transfer_batch_to_device(batches[0], torch.device("cpu"), 0), 0)
        assert moved["border"] == batches[0]["border"]
        assert moved["lr"].is_floating_point()


def test_the_training_images_that_are_scored_are_of_all_factors(
    compose_config: Compose, make_folder: MakeFolder
) -> None:
    root = make_folder(count=32)
    module = build(compose_config, f"data.root={root}", "data.patch=24", "data.scales=[2,3,4]", "model=vdsr")
    module.setup()
    assert {name.rpartition("@")[2] for name in names(module.val_dataloader()[1])} == {"x2", "x3", "x4"}
