"""High and low resolution in one folder, told apart by the names of the files."""

import re
from collections.abc import Sequence
from pathlib import Path

from sr.data.folders.files import files_in, is_image
from sr.data.folders.pairing import Pairing
from sr.errors import UserError

# The benchmark sets of Huang et al. 2015 (github.com/jbhuang0604/SelfExSR): image_SRF_2/img_001_SRF_2_HR.png,
# img_001_SRF_2_LR.png, and the outputs of several methods beside them (..._bicubic.png, ..._SRCNN.png).
_SRF_FILE = re.compile(r".+_SRF_(\d+)_[^_]+")
_MARKS = (("_HR", "_LR"), ("_hr", "_lr"))
_LOW_FILE = re.compile(r"(.+?)(_?[xX]\d|_LR|_lr)")


def marked(root: Path, scale: int | None, *, recursive: bool = False) -> Pairing | None:
    """The pairs of a folder whose files end in ``_HR`` and ``_LR``; None for any other folder.

    Args:
        root: an existing folder.
        scale: factor of the sides; the low resolution of another one, as names with ``_SRF_2_`` state it, is not used.
        recursive: whether files in subfolders count.

    Raises:
        UserError: if all files are of low resolution.
    """
    stems = [path.stem for path in files_in(root, recursive=recursive) if is_image(path)]
    stated = {int(match[1]) for stem in stems if (match := _SRF_FILE.fullmatch(stem))}
    for high, low in _MARKS:
        highs = [stem for stem in stems if stem.endswith(high)]
        lows = [stem for stem in stems if stem.endswith(low)]
        if lows and len(lows) == len(stems):
            raise UserError(
                f"{root}: all its files are named as low resolution ({lows[0]}): name the folder of the high resolution"
            )
        if highs and (lows or stated):
            others = sorted(set(stems) - set(highs) - set(lows))
            return _pairing(root, scale, (high, low if lows else ""), others, stated)
    return None


def _pairing(root: Path, scale: int | None, marks: tuple[str, str], others: Sequence[str], stated: set[int]) -> Pairing:
    high, low = marks
    notes = []
    if others:
        many = f"{len(others)} images" if len(others) > 1 else "1 image"
        notes = [f"{root}: {many} left out that are neither {high} nor _LR, such as {others[0]}"]
    only = min(stated) if len(stated) == 1 else None
    if low and (scale is None or only in (None, scale)):
        return Pairing(root, root, ("{stem}" + low,), high, only, notes=tuple(notes))
    have = f", only scale {only}" if low else ""
    low_note = f"{root}: low resolution is derived: there is none{f' of scale {scale}' if scale else ''}{have}"
    return Pairing(root, high_mark=high, notes=tuple(notes), low_note=low_note)


def mixed_names(stems: Sequence[str]) -> tuple[str, str, str] | None:
    """Two names that look like high and low resolution of one image, and the pattern of the second.

    >>> mixed_names(["0001", "0001x4", "0002"])
    ('0001', '0001x4', '{stem}x{scale}')
    """
    known = set(stems)
    for stem in sorted(known):
        match = _LOW_FILE.fullmatch(stem)
        if match and match[1] in known:
            return match[1], stem, "{stem}" + re.sub(r"\d", "{scale}", match[2])
    return None
