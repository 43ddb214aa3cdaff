"""The pairs of files in a folder that a user names, with the options that say more about it."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from sr.data.folders.files import has_images, subfolders
from sr.data.folders.layouts import folder_of_scale, locate, low_resolution_below
from sr.data.folders.marks import mixed_names
from sr.data.folders.pairing import LOW_NAMES, Listing, Pairing, list_pairs
from sr.errors import UserError, some_of
from sr.io.images import SUFFIXES


@dataclass(frozen=True)
class FolderOptions:
    """What a user says about a folder.

    Attributes:
        scale: factor of the sides; None for the only one that the folder has.
        low_res: folder of the low-resolution images; None to find it.
        low_res_name: what they are called, from ``{stem}`` and ``{scale}``; None to try the usual names.
        recursive: whether images in subfolders count.
        is_high: whether the folder is taken as it is, without looking for a layout.
        high_only: whether low resolution is of no interest.
    """

    scale: int | None = None
    low_res: Path | None = None
    low_res_name: str | None = None
    recursive: bool = False
    is_high: bool = False
    high_only: bool = False


def find_pairing(root: Path, options: FolderOptions) -> Pairing:
    """Where the images of a folder are: its layout, and what the options add to it.

    Raises:
        UserError: for a folder that does not exist, options that do not fit, or if it is not clear what is what.
    """
    for folder in filter(None, (root, options.low_res)):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder (data.{'root' if folder is root else 'low_res'})")
    if options.is_high:
        pairing = Pairing(root, is_plain=True)
    else:
        scale = options.scale or (1 if options.high_only else None)  # of high resolution any will do
        pairing = locate(root, scale, recursive=options.recursive)
    if options.high_only:
        pairing = replace(pairing, low=None, low_note="")
    if options.low_res:
        low = folder_of_scale(options.low_res, options.scale)
        pairing = replace(pairing, low=low, low_names=LOW_NAMES, scale=options.scale, is_plain=False, low_note="")
    if options.low_res_name is not None:
        named = _named_by(pairing, _checked_pattern(options.low_res_name))
        if pairing.low or any(pair.lr for pair in list_pairs(named, options.scale, recursive=options.recursive).pairs):
            pairing = named
        else:
            note = f"{pairing.high}: low resolution is derived: there is none named {options.low_res_name}"
            pairing = replace(pairing, low_note=note)
    return pairing


def pairs_in(pairing: Pairing, options: FolderOptions, *, only_images: bool = False) -> Listing:
    """List the files of a folder.

    Args:
        pairing: from `find_pairing`.
        options: those that it was found with.
        only_images: leave out files that have not the suffix of an image.

    Raises:
        UserError: if there are no images, or if low resolution is among them.
    """
    recursive = options.recursive
    listing = list_pairs(pairing, options.scale, recursive=recursive, only_images=only_images)
    if not listing.pairs:
        raise UserError(_no_images(pairing.high))
    if pairing.is_plain and not options.is_high:
        if recursive and (low := low_resolution_below(pairing.high)):
            raise UserError(f"{low}: is in a folder of low resolution: name the data sets in it one by one, as a list")
        if mixed := mixed_names([pair.name for pair in listing.pairs]):
            raise UserError(
                f"{pairing.high}: {mixed[0]} and {mixed[1]} look like high and low resolution in one folder: pair them "
                f"with data.low_res_name or --low-res-name '{mixed[2]}', or move the low resolution elsewhere"
            )
    return listing


def _named_by(pairing: Pairing, pattern: str) -> Pairing:
    """The same folders, with other names of low resolution; it may be in the folder of the high resolution."""
    return replace(
        pairing,
        low=pairing.low or pairing.high,
        low_names=(pattern,),
        is_plain=False,
        low_note=pairing.low_note if pairing.low else "",
        validation=pairing.validation and _named_by(pairing.validation, pattern),
    )


def _no_images(folder: Path) -> str:
    below = [path.name for path in subfolders(folder) if has_images(path, recursive=True)]
    if not below:
        return f"{folder}: no images in it: put image files there ({', '.join(sorted(SUFFIXES))})"
    return (
        f"{folder}: no images in it, only in subfolders ({some_of(below)}): name one of them, or read all with "
        "data.recursive=true or --recursive"
    )


def _checked_pattern(text: str) -> str:
    """The pattern of a name without the suffix of an image.

    Raises:
        UserError: if it has no ``{stem}``, or other fields.
    """
    pattern = re.sub(rf"(?i)({'|'.join(map(re.escape, SUFFIXES))})$", "", text)
    rest = pattern.replace("{stem}", "").replace("{scale}", "")
    if "{stem}" not in pattern or set(rest) & set("{}/"):
        raise UserError(
            f"low_res_name={text!r}: has to be made of {{stem}} and, if need be, {{scale}}: '{{stem}}x{{scale}}'"
        )
    return pattern
