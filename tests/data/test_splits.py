import pytest

from sr.data.splits import split_groups
from sr.errors import UserError

NAMES = [f"{number:03}" for number in range(855)]


def test_default_proportions_are_those_of_the_original_project() -> None:
    split = split_groups(NAMES, seed=23)
    assert (len(split.train), len(split.val), len(split.test)) == (616, 68, 171)


def test_parts_are_disjoint_and_complete() -> None:
    split = split_groups(NAMES, seed=23)
    assert split.train | split.val | split.test == set(NAMES)
    assert len(split.train) + len(split.val) + len(split.test) == len(NAMES)


def test_a_split_depends_only_on_the_names_and_the_seed() -> None:
    reordered = split_groups([*reversed(NAMES), *NAMES], seed=23)
    assert split_groups(NAMES, seed=23) == reordered
    assert split_groups(NAMES, seed=0) != reordered


def test_folds_share_the_test_part_and_validate_the_rest_once() -> None:
    splits = [split_groups(NAMES, seed=23, folds=5, fold=fold) for fold in range(5)]
    assert len({split.test for split in splits}) == 1
    assert splits[0].test == split_groups(NAMES, seed=23).test
    validated = [name for split in splits for name in split.val]
    assert sorted(validated) == sorted(set(NAMES) - splits[0].test)
    sizes = [len(split.val) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    assert all(not split.val & split.train for split in splits)


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (1, {}, "too few"),
        (3, {"folds": 5}, "needs 5 source images outside the test part, found 2"),
        (10, {"folds": 1}, "folds must be"),
        (10, {"fold": 3}, "needs the number of folds"),
        (10, {"folds": 5, "fold": 5}, "from 0 to 4"),
        (10, {"folds": 5, "fold": -1}, "from 0 to 4"),
        (10, {"test_share": 1.0}, "test_share must be"),
        (10, {"val_share": -0.1}, "val_share must be"),
    ],
)
def test_impossible_splits_are_refused(count: int, options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_groups(NAMES[:count], seed=23, **options)  # type: ignore[arg-type]


def test_the_split_of_a_seed_stays_the_same_across_versions() -> None:
    split = split_groups("abcdefghij", seed=23)
    assert (sorted(split.train), sorted(split.val), sorted(split.test)) == (list("abcdegj"), ["f"], ["h", "i"])
    split = split_groups("abcdefghij", seed=23, folds=4, fold=1)
    assert (sorted(split.train), sorted(split.val), sorted(split.test)) == (list("bcdefj"), ["a", "g"], ["h", "i"])
