import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from PIL import Image, ImageOps

from sr.data.duplicates import Hashes, group, near_identical
from sr.io.images import from_pil
from tests.support.images import photograph
from tests.support.runs import Compose, MakeFolder


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "exact": lambda image: image,
    "recompressed": lambda image: jpeg(image, 50),
    "half": lambda image: image.resize((48, 48), Image.Resampling.BICUBIC),
    "larger": lambda image: image.resize((144, 144), Image.Resampling.BICUBIC),
    "mirrored": ImageOps.mirror,
    "flipped": ImageOps.flip,
    "turned": lambda image: image.rotate(90, expand=True),
    "half and mirrored": lambda image: ImageOps.mirror(image.resize((48, 48))),
}


@pytest.mark.parametrize("kind", COPIES)
def test_exactly_the_planted_copies_are_found(kind: str) -> None:
    images = [photograph(96, 96, seed) for seed in range(12)]
    planted = [*images, COPIES[kind](images[4]), COPIES[kind](images[9])]
    assert near_identical(map(from_pil, planted)) == [[4, 12], [9, 13]]


def test_chained_copies_are_one_group_and_no_images_give_no_group() -> None:
    image = photograph(96, 96)
    assert near_identical(map(from_pil, [image, jpeg(image, 60), ImageOps.mirror(image)])) == [[0, 1, 2]]
    assert near_identical([]) == []


def test_different_real_photographs_are_not_grouped(shared: Path) -> None:
    paths = sorted((shared / "isr_like" / "high_res").iterdir())[:60]
    assert near_identical(from_pil(Image.open(path).convert("RGB")) for path in paths) == []


def test_planted_duplicates_never_straddle_a_split(
    compose_config: Compose, make_folder: MakeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    root = make_folder(count=20, size=(64, 64))
    copies = {}
    for number in range(10):
        image = Image.open(root / "high_res" / f"{number}.png")
        ImageOps.mirror(image).save(root / "high_res" / f"copy{number}.jpg", quality=70)
        copies[str(number)] = f"copy{number}"
    for fold in range(4):
        settings = [f"data.root={root}", "data.patch=32", "data.folds=4", f"data.fold={fold}"]
        module = instantiate(compose_config(["data=isr", *settings]).data)
        with caplog.at_level(logging.WARNING):
            module.setup()
        parts = [module.train_dataloader(), module.val_dataloader()[0], module.test_dataloader()]
        names = [{name for batch in part for name in batch["name"]} for part in parts]
        for original, copy in copies.items():
            assert sum((original in part) + (copy in part) for part in names) == 2
            assert any({original, copy} <= part for part in names)
        assert set.union(*names) == {path.stem for path in (root / "high_res").iterdir()}
    assert "10 groups of near-identical images are kept on one side of the split: 0, copy0" in caplog.text


def test_grouping_can_be_switched_off(compose_config: Compose, make_folder: MakeFolder) -> None:
    root = make_folder(count=6)
    data = compose_config(["data=isr", f"data.root={root}", "data.patch=32", "data.group_near_identical=false"]).data
    module = instantiate(data)
    module.setup()
    assert module.duplicates == []
    assert torch.is_tensor(module.store[0][0])


def hashes_at(distance: int, number: int) -> Hashes:
    """Hashes that differ from those of image ``number`` in ``distance`` bits each and from all others in many."""
    random = np.random.default_rng(number)
    eight_hashes = random.integers(0, 2**64, 8, np.uint64)
    return eight_hashes ^ np.uint64(2**distance - 1)


@pytest.mark.parametrize(("distance", "expected"), [(0, [[0, 1]]), (6, [[0, 1]]), (7, []), (12, [])])
def test_copies_differ_in_at_most_six_bits(distance: int, expected: list[list[int]]) -> None:
    assert group([hashes_at(0, 5), hashes_at(distance, 5)]) == expected


def test_copies_are_found_across_comparison_chunks() -> None:
    hashed = [hashes_at(0, number) for number in range(300)]
    hashed[280], hashed[299] = hashes_at(3, 10), hashes_at(2, 270)
    assert group(hashed) == [[10, 280], [270, 299]]
