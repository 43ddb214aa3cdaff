"""The parts of a data set: validation and test images in folders of their own, and the split of the others."""

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sr.data.duplicates import join_groups
from sr.data.sources import Source, as_part, image_folder
from sr.data.splits import Split, split_groups
from sr.data.stores.store import PairStore
from sr.errors import UserError, listed
from sr.io.paths import user_path
from sr.terms import Part

log = logging.getLogger(__name__)

Find = Callable[..., list[Source]]
Folders = str | Sequence[str] | None

_RANKS = (None, Part.VAL, Part.TEST)  # an image in two of these belongs to the later one
_NAMES = {None: "images of data.root", Part.VAL: "validation images", Part.TEST: "test images"}


def find_parts(
    find: Find,
    root: Folders,
    *,
    scale: int,
    on_bad_file: str = "error",
    high_res: str | None = None,
    low_res: str | None = None,
    low_res_name: str | None = None,
    recursive: bool = False,
    val_root: Folders = None,
    test_root: Folders = None,
    folds: int | None = None,
) -> list[Source]:
    """List the images of a run: those to be split, and those of validation and test folders, which have their part.

    Args:
        find: lists the images of ``root``; the other folders may have any layout.
        root: see `sr.data.sources.image_folder`, as for the options up to ``recursive``; they are passed only if
            they are set, and the scale only to functions that take one.
        scale: factor of the sides.
        on_bad_file: ``error`` or ``skip``.
        high_res: in place of ``root``.
        low_res: of ``root``.
        low_res_name: of all folders.
        recursive: for all folders.
        val_root: folders of the validation images.
        test_root: folders of the test images.
        folds: if set, the images of ``root`` are those that validate.

    Raises:
        UserError: for an option that ``find`` does not take, and as `sr.data.sources.image_folder`.
    """
    if val_root is not None and folds is not None:
        raise UserError("data.folds validates on images of data.root: leave out data.folds or data.val_root")
    named = {"low_res_name": low_res_name, "recursive": recursive, "on_bad_file": on_bad_file}
    sources = _call(find, root, scale, {**named, "high_res": high_res, "low_res": low_res})
    official = next((source.hr.parent for source in sources if source.part == Part.VAL), None)
    if official and (val_root is not None or folds is not None):
        log.warning("%s: is not used: data.%s is set", official, "folds" if folds else "val_root")
        sources = [source for source in sources if source.part != Part.VAL]
    elif official:
        log.warning("%s: is used for validation (data.val_root=DIR names other images)", official)
    is_ours = getattr(find, "func", find).__module__ == image_folder.__module__
    for part, folders in ((Part.VAL, val_root), (Part.TEST, test_root)):
        if folders is not None:
            if is_ours:
                _check_exist(folders, f"data.{part}_root")
            held = _call(image_folder if is_ours else find, folders, scale, named)
            if nested := next((source.hr.parent for source in held if source.part), None):
                raise UserError(f"data.{part}_root={folders}: has several parts: name one, such as {nested}")
            sources += as_part(held, part, sources)
    return sources


def _check_exist(folders: Folders, option: str) -> None:
    """Refuse a folder that does not exist, with the option that names it."""
    for folder in folders if isinstance(folders, Sequence) and not isinstance(folders, str) else [folders]:
        if not user_path(folder).is_dir():
            raise UserError(f"{folder}: no such folder ({option})")


def _call(find: Find, root: Folders, scale: int, options: dict[str, Any]) -> list[Source]:
    """List images with the options that are set."""
    parameters = inspect.signature(find).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    passed = {name: value for name, value in options.items() if value not in (None, False, "error")}
    for name in passed:
        if name not in parameters and not takes_any:
            target = getattr(find, "func", find)
            raise UserError(f"data.{name}: {getattr(target, '__name__', target)} does not read it")
    if "scale" in parameters:
        passed["scale"] = scale
    return find(root, **passed)


class Groups(NamedTuple):
    """The photographs of a store.

    Attributes:
        of_images: group of each image; near-identical images share one.
        near: groups of two or more near-identical images, by index.
        left_out: groups that are in no part, since a later part has their photographs.
    """

    of_images: list[str]
    near: list[list[int]]
    left_out: frozenset[str]


def find_groups(store: PairStore, near: Sequence[Sequence[int]]) -> Groups:
    """Group images by photograph, and leave out of each part what a part held out has.

    Args:
        store: the images.
        near: groups of near-identical images, by index.

    Raises:
        UserError: if a file is in two parts.
    """
    sources = store.sources
    if any(source.part for source in sources):
        _refuse_shared_files(store)
    within = [
        members
        for indices in near
        for part in _RANKS
        if len(members := [index for index in indices if sources[index].part == part]) > 1
    ]
    groups = join_groups([source.group for source in sources], within)
    copies: dict[str, tuple[int, int]] = {}  # by group: an image of it, and the image that it shows
    for indices in near:
        last = max(indices, key=lambda index: _RANKS.index(sources[index].part))
        for index in indices:
            if sources[index].part != sources[last].part:
                copies.setdefault(groups[index], (index, last))
    if copies:
        count = sum(group in copies and not source.is_copy for group, source in zip(groups, sources, strict=True))
        pairs = [f"{sources[index].name} shows {sources[last].name}" for index, last in copies.values()]
        many = "image is" if count == 1 else "images are"
        log.warning("%d %s left out that near-identical images are held out of: %s", count, many, listed(pairs))
    return Groups(groups, within, frozenset(copies))


def split_parts(sources: Sequence[Source], groups: Groups, *, test_share: float, **settings: Any) -> Split:
    """Split the images that have no part; validation and test folders replace the parts that would be drawn.

    Args:
        sources: the images.
        groups: of `find_groups`.
        test_share: see `split_groups`; without effect if there is a test folder.
        settings: see `split_groups`.

    Raises:
        UserError: as `split_groups`, and if nothing is left of a folder.
    """
    by_part: dict[Part | None, frozenset[str]] = {
        part: frozenset(group for group, source in zip(groups.of_images, sources, strict=True) if source.part == part)
        - groups.left_out
        for part in _RANKS
    }
    for part in (Part.VAL, Part.TEST):
        if not by_part[part] and any(source.part == part for source in sources):
            raise UserError(f"data.{part}_root: none of its images can be used: all are in another part")
    val, test = by_part[Part.VAL], by_part[Part.TEST]
    drawn = split_groups(
        [group for group in groups.of_images if group in by_part[None]],
        test_share=0.0 if test else test_share,
        draw_val=not val,
        **settings,
    )
    return Split(drawn.train, drawn.val | val, drawn.test | test)


def _refuse_shared_files(store: PairStore) -> None:
    """Refuse files that are in two parts, by their contents."""
    first: dict[str, int] = {}
    shared: dict[tuple[Part | None, Part | None], list[str]] = {}
    for index in sorted(range(len(store)), key=lambda index: _RANKS.index(store.sources[index].part)):
        source = store.sources[index]
        other = store.sources[first.setdefault(store.content_hash(index, hr_only=True), index)]
        if other.part != source.part and not source.is_copy:
            shared.setdefault((source.part, other.part), []).append(f"{source.name} is {other.name}")
    for (part, other_part), pairs in shared.items():
        raise UserError(
            f"{len(pairs)} of the {_NAMES[part]} are also {_NAMES[other_part]} ({listed(pairs)}): remove them from "
            f"one of the folders"
        )
