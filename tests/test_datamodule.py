import re

import pytest
import torch
from hydra.utils import instantiate

from sr.datamodule import ISRDataModule
from sr.errors import UserError
from sr.sources import demo_photographs
from tests.conftest import Compose, MakeFolder, photograph


def build(compose_config: Compose, *overrides: str) -> ISRDataModule:
    module: ISRDataModule = instantiate(compose_config(["data=isr", *overrides]).data)
    return module


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


def test_tiles_and_turned_copies_of_a_photograph_stay_on_one_side(compose_config: Compose) -> None:
    module = instantiate(compose_config(["data=demo", "data.augment.rotate45=true", "data.repeat=1"]).data)
    module.setup()
    group = {source.name: source.group for source in demo_photographs()}
    train = names(module.train_dataloader())
    assert any(name.endswith("@45") for name in train)
    sides = [train, names(module.val_dataloader()[0]), names(module.test_dataloader())]
    assert not any(name.endswith("@45") for name in sides[1] | sides[2])
    groups = [{group[name.removesuffix("@45")] for name in side} for side in sides]
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
    wrong = torch.nn.functional.avg_pool2d(batch["hr"].flip(-1), 2)
    assert (coarse - batch["lr"]).abs().mean() < 0.5 * (wrong - batch["lr"]).abs().mean()


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
    with pytest.raises(UserError, match=r"cannot be batched whole: set data\.patch=N"):
        build(compose_config, f"data.root={root}", "data.patch=null").setup()
    module = build(compose_config, f"data.root={root}", "data.patch=null", "data.batch_size=1")
    module.setup()
    assert len({batch["hr"].shape for batch in module.train_dataloader()}) > 1


def test_without_test_images_the_test_loader_says_so(compose_config: Compose, make_folder: MakeFolder) -> None:
    module = build(compose_config, f"data.root={make_folder()}", "data.patch=32", "data.test_share=0")
    module.setup()
    with pytest.raises(UserError, match="no test images are held out"):
        module.test_dataloader()
