from pathlib import Path

import pytest
import torch

from sr.data.batches import Augment, Draw, EpochDraws, TrainingPairs, WholePairs, _numbers
from sr.data.sources import isr_folders
from sr.data.stores.store import PairStore
from sr.image import dihedral
from tests.support.runs import MakeFolder


@pytest.fixture
def store(make_folder: MakeFolder) -> PairStore:
    return PairStore(isr_folders(make_folder(count=4)), scale=2, shrink=2, kind="memory")


NO_AUGMENTATION = Augment(flip=False, rotate90=False)


def pairs(store: PairStore, seed: int = 23, augment: Augment | None = None) -> TrainingPairs:
    return TrainingPairs(store, [0, 1, 2, 3], scale=2, patch=16, augment=augment or Augment(), seed=seed)


def test_crops_of_lr_and_hr_show_the_same_region(store: PairStore) -> None:
    batch = pairs(store, augment=NO_AUGMENTATION)[[Draw(2, epoch, 0) for epoch in range(5)]]
    lr, hr = store[2]
    for small, large in zip(batch["lr"], batch["hr"], strict=True):
        assert (small.shape, large.shape) == ((3, 8, 8), (3, 16, 16))
        places = [
            (top, left)
            for top in range(lr.shape[1] - 7)
            for left in range(lr.shape[2] - 7)
            if torch.equal(lr[:, top : top + 8, left : left + 8], small)
        ]
        assert any(torch.equal(hr[:, 2 * top : 2 * top + 16, 2 * left : 2 * left + 16], large) for top, left in places)


def test_an_example_depends_only_on_seed_epoch_and_image(store: PairStore) -> None:
    alone = pairs(store)[[Draw(3, 7, 0)]]
    among = pairs(store)[[Draw(0, 7, 0), Draw(3, 7, 0), Draw(1, 2, 0)]]
    assert torch.equal(alone["hr"][0], among["hr"][1])
    subset = TrainingPairs(store, [3], scale=2, patch=16, augment=Augment(), seed=23)[[Draw(0, 7, 0)]]
    assert torch.equal(alone["hr"], subset["hr"])


def test_crops_change_with_epoch_repeat_and_seed(store: PairStore) -> None:
    draws = [Draw(3, 7, 0), Draw(3, 8, 0), Draw(3, 7, 1)]
    crops = [*pairs(store)[draws]["hr"], pairs(store, seed=0)[draws[:1]]["hr"][0]]
    assert all(not torch.equal(crops[a], crops[b]) for a in range(4) for b in range(a))


def test_a_patch_of_the_size_of_the_image_is_the_image(make_folder: MakeFolder) -> None:
    store = PairStore(isr_folders(make_folder(count=1, size=(32, 32))), scale=2, shrink=2, kind="memory")
    batch = TrainingPairs(store, [0], scale=2, patch=32, augment=NO_AUGMENTATION, seed=1)[[Draw(0, 0, 0)]]
    assert torch.equal(batch["hr"][0], store[0][1])


@pytest.mark.parametrize(
    ("augment", "square", "oblong"),
    [
        (Augment(flip=True, rotate90=True), {0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3}),
        (Augment(flip=True, rotate90=False), {0, 1, 2, 3}, {0, 1, 2, 3}),
        (Augment(flip=False, rotate90=True), {0, 3, 5, 6}, {0, 3}),
        (Augment(flip=False, rotate90=False), {0}, {0}),
    ],
)
def test_augmentation_draws_every_transform_it_allows(augment: Augment, square: set[int], oblong: set[int]) -> None:
    assert {augment.code(number, square=True) for number in range(200)} == square
    assert {augment.code(number, square=False) for number in range(200)} == oblong


@pytest.mark.parametrize("code", [0, 3, 5, 6])
def test_codes_without_flips_are_rotations(code: int) -> None:
    image = torch.rand(5, 5)
    assert any(torch.equal(dihedral(image, code), torch.rot90(image, quarter)) for quarter in range(4))


@pytest.mark.parametrize(("size", "codes"), [((32, 32), 8), ((32, 48), 4)])
def test_whole_images_are_flipped_and_rotated_as_pairs(
    make_folder: MakeFolder, size: tuple[int, int], codes: int
) -> None:
    store = PairStore(isr_folders(make_folder(count=1, size=size)), scale=2, shrink=2, kind="memory")
    dataset = TrainingPairs(store, [0], scale=2, patch=None, augment=Augment(), seed=1)
    batch = dataset[[Draw(0, epoch, 0) for epoch in range(60)]]
    moved = [[dihedral(image, code) for image in store[0]] for code in range(codes)]
    seen = set()
    for lr, hr in zip(batch["lr"], batch["hr"], strict=True):
        same = {code for code, (small, large) in enumerate(moved) if torch.equal(small, lr) and torch.equal(large, hr)}
        assert len(same) == 1
        seen |= same
    assert seen == set(range(codes))


@pytest.mark.parametrize("patch", [16, None])
def test_crops_cut_in_a_batch_on_a_device_equal_those_cut_one_by_one(
    make_folder: MakeFolder, patch: int | None
) -> None:
    sources = isr_folders(make_folder(count=4, size=(48, 32) if patch else (32, 32)))
    alone, packed = (PairStore(sources, scale=2, shrink=2, kind=kind) for kind in ("memory", "device"))
    draws = [Draw(image, epoch, 0) for image in range(4) for epoch in range(20)]
    one_by_one, batched = (
        TrainingPairs(store, [0, 1, 2, 3], scale=2, patch=patch, augment=Augment(), seed=3)[draws]
        for store in (alone, packed)
    )
    assert one_by_one["name"] == batched["name"]
    assert torch.equal(one_by_one["lr"], batched["lr"])
    assert torch.equal(one_by_one["hr"], batched["hr"])


def test_every_image_is_drawn_repeat_times_an_epoch_in_a_new_order() -> None:
    draws = EpochDraws(10, batch_size=4, repeat=3, seed=1)
    epochs = []
    for epoch in (0, 1):
        draws.set_epoch(epoch)
        batches = list(draws)
        assert len(batches) == len(draws) == 8
        epoch_draws = [draw for batch in batches for draw in batch]
        assert sorted(epoch_draws) == [Draw(image, epoch, repeat) for image in range(10) for repeat in range(3)]
        epochs.append([(draw.image, draw.repeat) for draw in epoch_draws])
    assert epochs[0] != epochs[1]
    draws.set_epoch(0)
    assert [(draw.image, draw.repeat) for batch in draws for draw in batch] == epochs[0]


def test_the_same_draws_can_be_repeated_every_epoch() -> None:
    draws = EpochDraws(10, batch_size=4, repeat=1, seed=1, same_every_epoch=True)
    first = list(draws)
    draws.set_epoch(5)
    assert list(draws) == first


def test_finished_batches_are_left_out() -> None:
    all_batches = list(EpochDraws(10, batch_size=4, repeat=1, seed=1))
    assert list(EpochDraws(10, batch_size=4, repeat=1, seed=1, done=lambda: 2)) == all_batches[2:]


def test_two_ranks_share_the_batches_of_one_rank_with_twice_the_batch_size() -> None:
    single = list(EpochDraws(16, batch_size=8, repeat=1, seed=1))
    first, second = (list(EpochDraws(16, batch_size=4, repeat=1, seed=1, rank=rank, ranks=2)) for rank in (0, 1))
    assert [sorted(a + b) for a, b in zip(first, second, strict=True)] == [sorted(batch) for batch in single]


def test_whole_pairs_come_unchanged_in_batches_of_one(store: PairStore) -> None:
    dataset = WholePairs(store, [1, 3], 2, groups=["a", "a", "b", "b"])
    assert len(dataset) == 2
    batch = dataset[1]
    assert torch.equal(batch["lr"][0], store[3][0])
    assert torch.equal(batch["hr"][0], store[3][1])
    assert (batch["name"], batch["group"]) == (["3"], ["b"])


def test_loader_workers_change_nothing(store: PairStore, tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    def names_and_crops(workers: int) -> list[tuple[list[str], list[float]]]:
        draws = EpochDraws(4, batch_size=2, repeat=2, seed=5)
        loader = DataLoader(pairs(store), batch_size=None, sampler=draws, num_workers=workers)
        return [(batch["name"], batch["hr"].double().mean(dim=(1, 2, 3)).tolist()) for batch in loader]

    assert names_and_crops(0) == names_and_crops(2)


def test_the_random_numbers_and_the_order_of_a_seed_stay_the_same_across_versions() -> None:
    assert _numbers(23, 0, 0, "a") == (12734148371832151904, 17106799145523571313, 8534683594630583238)
    assert _numbers(23, 1, 2, "photo 1") == (15428129792111422375, 9096312822380506243, 4236843234267274987)
    batches = list(EpochDraws(6, batch_size=4, repeat=1, seed=23))
    assert [[draw.image for draw in batch] for batch in batches] == [[3, 4, 0, 1], [5, 2]]


def test_a_crop_is_placed_by_its_random_numbers(store: PairStore) -> None:
    name = store.sources[3].name
    number, top, left = _numbers(23, 5, 1, name)
    top, left = top % (24 - 8 + 1), left % (32 - 8 + 1)  # low-resolution pixels of images of 48x64
    batch = pairs(store)[[Draw(3, 5, 1)]]
    lr, hr = store[3]
    code = number % 8
    assert torch.equal(batch["lr"][0], dihedral(lr[:, top : top + 8, left : left + 8], code))
    top, left = 2 * top, 2 * left
    assert torch.equal(batch["hr"][0], dihedral(hr[:, top : top + 16, left : left + 16], code))


@pytest.mark.parametrize("done", [1, 2])
def test_ranks_leave_out_the_batches_that_all_of_them_have_finished(done: int) -> None:
    for rank in (0, 1):
        all_batches = list(EpochDraws(16, batch_size=4, repeat=1, seed=1, rank=rank, ranks=2))
        rest = list(EpochDraws(16, batch_size=4, repeat=1, seed=1, rank=rank, ranks=2, done=lambda: done))
        assert rest == all_batches[done:]


def test_with_an_odd_count_every_rank_gets_batches_of_equal_size_and_no_image_is_left_out() -> None:
    first, second = (list(EpochDraws(11, batch_size=2, repeat=1, seed=1, rank=rank, ranks=2)) for rank in (0, 1))
    assert [len(batch) for batch in first] == [len(batch) for batch in second] == [2, 2, 2]
    drawn = [draw.image for batch in [*first, *second] for draw in batch]
    assert set(drawn) == set(range(11))
    assert len(drawn) == 12
