"""Split images into train, validation and test by photograph, depending only on their names and the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sr.errors import UserError


@dataclass(frozen=True)
class Split:
    """Three disjoint sets of groups."""

    train: frozenset[str]
    val: frozenset[str]
    test: frozenset[str]


def split_groups(
    groups: Sequence[str],
    *,
    seed: int,
    test_share: float = 0.2,
    val_share: float = 0.1,
    folds: int | None = None,
    fold: int = 0,
    draw_val: bool = True,
) -> Split:
    """Split groups of images into train, validation and test.

    Args:
        groups: group of each image, in any order.
        seed: of the shuffle.
        test_share: share of all groups held out for testing.
        val_share: share of the rest for validation; ignored with folds.
        folds: number of cross-validation parts that the rest is divided into.
        fold: the part for validation, from 0 to folds-1.
        draw_val: whether some of these groups are for validation.

    Raises:
        UserError: for shares outside [0, 1), a fold that does not exist, or too few groups.

    >>> split = split_groups("abcdefghij", seed=23)
    >>> len(split.train), len(split.val), len(split.test)
    (7, 1, 2)
    """
    for name, share in (("test_share", test_share), ("val_share", val_share)):
        if not 0 <= share < 1:
            raise UserError(f"data.{name} must be at least 0 and below 1, got {share}")
    if folds is None and fold != 0:
        raise UserError(f"data.fold={fold} needs the number of folds: data.folds=K")
    order = sorted(set(groups))
    random.Random(seed).shuffle(order)
    test_count = round(test_share * len(order))
    test, rest = order[:test_count], order[test_count:]
    val_count = max(1, round(val_share * len(rest))) if draw_val else 0
    val = rest[:val_count] if folds is None else _fold_of(rest, folds, fold)
    train = frozenset(rest) - frozenset(val)
    if not train or len(val) < draw_val:
        raise UserError(f"{len(order)} source images are too few to split into train, validation and test: add some")
    return Split(train, frozenset(val), frozenset(test))


def _fold_of(rest: list[str], folds: int, fold: int) -> list[str]:
    if not isinstance(folds, int) or folds < 2:
        raise UserError(f"data.folds must be an integer of 2 or more (or null), got {folds!r}")
    if len(rest) < folds:
        raise UserError(f"data.folds={folds} needs {folds} source images outside the test part, found {len(rest)}")
    if not isinstance(fold, int) or not 0 <= fold < folds:
        raise UserError(f"data.fold must be from 0 to {folds - 1} with data.folds={folds}, got {fold!r}")
    return rest[fold::folds]
