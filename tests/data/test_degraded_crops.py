"""Training crops that are degraded anew whenever they are drawn."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from sr.data.batches import Augment, EpochDraws, TrainingPairs
from sr.data.degrade.area import Area
from sr.data.degrade.base import Degradation, name_of
from sr.data.degrade.blur import Blur
from sr.data.degrade.bsrgan import Bsrgan
from sr.data.degrade.chain import Chain
from sr.data.degrade.jpeg import Jpeg
from sr.data.degrade.noise import Noise
from sr.data.degrade.photo import Photo
from sr.data.degrade.sinc import Sinc
from sr.data.sources import Source, isr_folders
from sr.data.stores.store import PairStore
from sr.datamodule import ISRDataModule
from sr.errors import UserError
from tests.support.runs import MakeFolder

RANDOM = Chain((Blur(), Noise(), Jpeg()))
SEVERAL: tuple[Degradation, ...] = (RANDOM, Photo(), Bsrgan(), Sinc())


def high_only(folder: Path) -> list[Source]:
    return [Source(source.name, source.group, source.hr) for source in isr_folders(folder)]


def pairs(
    sources: Sequence[Source],
    degradation: Degradation = RANDOM,
    *,
    kind: str = "memory",
    seed: int = 1,
    scale: int = 2,
    folder: Path | None = None,
) -> TrainingPairs:
    store = PairStore(sources, scale=scale, shrink=2, kind=kind, folder=folder, degradation=degradation)
    return TrainingPairs(store, range(len(sources)), scale=scale, patch=16, augment=Augment(), seed=seed)


def epoch_of(
    dataset: TrainingPairs, *, batch_size: int = 2, epoch: int = 0, workers: int = 0, done: int = 0
) -> dict[str, list[torch.Tensor]]:
    """The low resolution of every draw of an epoch, by the name of its image."""
    draws = EpochDraws(len(dataset.indices), batch_size=batch_size, repeat=2, seed=1, done=lambda: done)
    draws.set_epoch(epoch)
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, sampler=draws, num_workers=workers)
    crops: dict[str, list[torch.Tensor]] = {}
    for batch in loader:
        for name, lr in zip(batch["name"], batch["lr"], strict=True):
            crops.setdefault(name, []).append(lr.clone())
    return crops


def same(one: dict[str, list[torch.Tensor]], other: dict[str, list[torch.Tensor]]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(torch.stack(one[name]), torch.stack(other[name])) for name in one
    )


@pytest.mark.parametrize("degradation", SEVERAL, ids=name_of)
def test_crops_do_not_depend_on_batches_stores_or_an_interruption(
    make_folder: MakeFolder, tmp_path: Path, degradation: Degradation
) -> None:
    sources = high_only(make_folder(count=4))
    expected = epoch_of(pairs(sources, degradation))
    for batch_size in (1, 3, 8):
        assert same(epoch_of(pairs(sources, degradation), batch_size=batch_size), expected)
    for kind in ("device", "disk", "none"):
        assert same(epoch_of(pairs(sources, degradation, kind=kind, folder=tmp_path / "cache")), expected)
    rest = epoch_of(pairs(sources, degradation), done=2)
    assert sum(map(len, rest.values())) == 4
    for name, crops in rest.items():
        for crop, before in zip(reversed(crops), reversed(expected[name]), strict=False):
            assert torch.equal(crop, before)


@pytest.mark.slow
@pytest.mark.parametrize("degradation", SEVERAL, ids=name_of)
def test_crops_do_not_depend_on_the_number_of_workers_or_threads(
    make_folder: MakeFolder, degradation: Degradation
) -> None:
    sources = high_only(make_folder(count=4))
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # a loading process has one
    try:
        expected = epoch_of(pairs(sources, degradation))
    finally:
        torch.set_num_threads(before)
    for workers in (1, 2, 4):
        assert same(epoch_of(pairs(sources, degradation), workers=workers), expected)


def test_crops_change_with_the_epoch_and_the_seed(make_folder: MakeFolder) -> None:
    sources = high_only(make_folder(count=4))
    first = epoch_of(pairs(sources))
    assert not same(epoch_of(pairs(sources), epoch=1), first)
    assert not same(epoch_of(pairs(sources, seed=2)), first)


class AnewBlur(Blur):
    """A blur of one width that passes for a random one."""

    is_random = True


class AnewArea(Area):
    """A mean of blocks that passes for a random one."""

    is_random = True


@pytest.mark.parametrize(
    ("scale", "degradation"), [(1, AnewArea()), (2, AnewBlur((1, 1), 0)), (3, AnewBlur((1, 1), 0))]
)
def test_a_crop_with_its_margin_is_degraded_as_the_whole_image(
    make_folder: MakeFolder, scale: int, degradation: Degradation
) -> None:
    """At the borders of the image as well: a blur that draws nothing gives the same either way."""
    sources = high_only(make_folder(count=3, size=(60, 72)))
    store = PairStore(sources, scale=scale, shrink=2, kind="memory", degradation=degradation)
    patch = 12
    anew = TrainingPairs(store, range(3), scale=scale, patch=patch, augment=Augment(), seed=1)
    once = TrainingPairs(store, range(3), scale=scale, patch=patch, augment=Augment(), seed=1)
    once.degraded = None
    for epoch in range(20):
        draws = EpochDraws(3, batch_size=8, repeat=2, seed=1)
        draws.set_epoch(epoch)
        for batch in draws:
            left, right = anew[batch], once[batch]
            assert torch.equal(left["hr"], right["hr"])
            assert int((left["lr"].int() - right["lr"].int()).abs().max()) <= 1  # of a sum that is rounded
            assert float((left["lr"] != right["lr"]).float().mean()) < 1e-3


def test_at_scale_1_the_crop_is_degraded_and_enlarged(make_folder: MakeFolder) -> None:
    crops = epoch_of(pairs(high_only(make_folder(count=2)), scale=1))
    assert {tuple(crop.shape) for several in crops.values() for crop in several} == {(3, 16, 16)}


def test_stored_images_depend_on_the_split_seed_and_the_key_alone(make_folder: MakeFolder, tmp_path: Path) -> None:
    sources = high_only(make_folder(count=2))
    settings = {"scale": 2, "shrink": 2, "kind": "disk", "folder": tmp_path / "cache"}
    first = PairStore(sources, degradation=RANDOM, **settings)  # type: ignore[arg-type]
    again = PairStore([*reversed(sources)], degradation=RANDOM, **settings)  # type: ignore[arg-type]
    assert torch.equal(first[0][0], again[1][0])
    others = [
        PairStore(sources, degradation=RANDOM, degrade_seed=5, **settings),  # type: ignore[arg-type]
        PairStore(sources, degradation=Chain((Blur(), Noise(), Jpeg((30, 31)))), **settings),  # type: ignore[arg-type]
        PairStore(sources, **settings),  # type: ignore[arg-type]
    ]
    assert len({store.fingerprint for store in (first, *others)}) == 4
    assert all(not torch.equal(first[0][0], other[0][0]) for other in others)


def test_a_degradation_that_would_be_ignored_is_refused(make_folder: MakeFolder) -> None:
    root = make_folder(count=4, low_scale=2)
    module = ISRDataModule(isr_folders, str(root), scale=2, patch=16, degrade=RANDOM)
    with pytest.raises(UserError, match="degrade=chain would be ignored, since every image has a file of low"):
        module.setup()
