"""What is known about the folders of a data set: where its files are, and which of them are pairs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sr.data.folders.files import files_in, is_image

# What the low-resolution partner of an image is called, in the order in which the names are tried.
LOW_NAMES = ("{stem}", "{stem}x{scale}", "{stem}_x{scale}", "{stem}_LR", "{stem}_lr")

_COMMON_SCALES = range(2, 9)  # tried in names if the scale is unknown


@dataclass(frozen=True)
class Pairing:
    """Where the images of a data set are, and how the two files of a pair are named.

    Attributes:
        high: folder of the high-resolution images.
        low: folder of their low-resolution partners, which may be the same; None if they are derived.
        low_names: what the partner of an image may be called, without its suffix; the first that exists counts.
        high_mark: end of the names of high-resolution files, in a folder with others; no part of an image's name.
        scale: of the low resolution, if the layout states it.
        is_plain: whether it is any folder of images, rather than a known layout.
        notes: what was left out, in lines.
        low_note: where the low resolution is from, in one line; empty if that is plain.
        validation: the validation images that the data set itself names.
    """

    high: Path
    low: Path | None = None
    low_names: Sequence[str] = LOW_NAMES
    high_mark: str = ""
    scale: int | None = None
    is_plain: bool = False
    notes: tuple[str, ...] = ()
    low_note: str = ""
    validation: "Pairing | None" = None

    @property
    def lines(self) -> list[str]:
        """What was chosen and left out."""
        return [*([self.low_note] if self.low_note else []), *self.notes]


class Pair(NamedTuple):
    """The files of an image; its name is that of the file, below the folder and without suffix."""

    name: str
    hr: Path
    lr: Path | None


@dataclass
class Listing:
    """The files of a data set.

    Attributes:
        pairs: sorted by name; without partner those that lack it, unless all low resolution is derived.
        same_name: files, each with an earlier one of the same name.
        unpaired: files, each with the folder that lacks its partner.
        strays: files that are not images, if they are not wanted.
    """

    pairs: list[Pair] = field(default_factory=list)
    same_name: list[tuple[Path, Path]] = field(default_factory=list)
    unpaired: list[tuple[Path, Path]] = field(default_factory=list)
    strays: list[Path] = field(default_factory=list)


def list_pairs(pairing: Pairing, scale: int | None, *, recursive: bool = False, only_images: bool = False) -> Listing:
    """List the files of a data set.

    Args:
        pairing: where they are.
        scale: factor of the sides, which names may contain; None if it is unknown.
        recursive: whether files in subfolders count; both files of a pair are in the same one.
        only_images: leave out files that have not the suffix of an image.
    """
    listing = Listing()
    high = _by_name(pairing.high, listing, recursive=recursive, only_images=only_images)
    if pairing.low is None:
        marked = {name: path for name, path in high.items() if name.endswith(pairing.high_mark)}
        listing.pairs = [Pair(name.removesuffix(pairing.high_mark), path, None) for name, path in marked.items()]
        return listing
    is_shared = pairing.low == pairing.high
    low = high if is_shared else _by_name(pairing.low, listing, recursive=recursive, only_images=only_images)
    used: set[str] = set()
    for name, path in high.items():
        image_name = name.removesuffix(pairing.high_mark)
        partners = [low_name for low_name in _names_of_partner(image_name, pairing, scale) if low_name in low]
        lr = low[partners[0]] if partners else None
        if name.endswith(pairing.high_mark) and lr != path:
            listing.pairs.append(Pair(image_name, path, lr))
            used.update(partners[:1])
    if is_shared and not pairing.high_mark:  # what is the partner of another is no image of its own
        listing.pairs = [pair for pair in listing.pairs if pair.hr not in {low[name] for name in used}]
    listing.unpaired = [(pair.hr, pairing.low) for pair in listing.pairs if pair.lr is None]
    if not is_shared:
        listing.unpaired += [(path, pairing.high) for name, path in low.items() if name not in used]
    elif pairing.high_mark:
        marks = tuple(name.removeprefix("{stem}") for name in pairing.low_names)
        listing.unpaired += [(low[name], pairing.high) for name in low if name.endswith(marks) and name not in used]
    return listing


def _by_name(folder: Path, listing: Listing, *, recursive: bool, only_images: bool) -> dict[str, Path]:
    """Files by their path below the folder without suffix, sorted."""
    paths: dict[str, Path] = {}
    for path in files_in(folder, recursive=recursive):
        if only_images and not is_image(path):
            listing.strays.append(path)
            continue
        first = paths.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
        if first != path:
            listing.same_name.append((path, first))
    return dict(sorted(paths.items()))


def _names_of_partner(name: str, pairing: Pairing, scale: int | None) -> Iterable[str]:
    parent, slash, stem = name.rpartition("/")
    known = pairing.scale or scale
    for pattern in pairing.low_names:
        for number in [known] if known or "{scale}" not in pattern else _COMMON_SCALES:
            yield parent + slash + pattern.replace("{stem}", stem).replace("{scale}", str(number))
