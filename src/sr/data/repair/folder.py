"""Mend the misaligned pairs of a folder into a new one: what ``sr check-data --repair`` does."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from sr.data.folders.named import FolderOptions, find_pairing, pairs_in
from sr.data.folders.pairing import Listing, Pair
from sr.data.repair.journal import Journal, Outcome, Request
from sr.data.repair.mend import UnmendableError, mend
from sr.errors import UserError, check_at_least
from sr.io.atomic import remove_leftovers, reporting_unwritable, whole_file
from sr.io.bars import progress_bar
from sr.io.bounded import Pixels
from sr.io.images import ImageFileError, upright_size
from sr.io.pictures import Picture, read_picture, write_strips
from sr.machine.pools import thread_pool

HIGH, LOW = "high_res", "low_res"  # in the new folder

_CHUNK = 32  # pairs submitted to the threads at a time


def repair(folder: Path, out: Path, options: FolderOptions, say: Callable[[str], None]) -> bool:
    """Write the pairs of a folder, mended where they are misaligned, to ``high_res`` and ``low_res`` of a new folder.

    Pairs in which nothing is to be mended are copied. A repair that was interrupted is resumed by the same call, which
    also tries the pairs again that were left out, and those whose new files are gone.

    Args:
        folder: contains pairs, in a layout of `sr.data.folders.layouts`.
        out: where to write; new or empty.
        options: how to read the folder; the scale defaults to that of the layout, or of most pairs.
        say: gets a line for each pair, and one at the end.

    Returns:
        Whether everything is in the new folder.

    Raises:
        UserError: if the folder has no low resolution, or the new one holds anything else.
    """
    if options.scale is not None:
        check_at_least("--scale", options.scale, 1)
    if out.resolve().is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(out.resolve()):
        raise UserError(f"--repair {out}: overlaps {folder}: name a folder elsewhere")
    pairing = find_pairing(folder, options)
    if pairing.low is None:
        raise UserError(f"{folder}: has no low resolution to mend; it is derived, and aligned")
    listing = pairs_in(pairing, options)
    scale = options.scale or pairing.scale or _most_common_scale(listing.pairs)
    if scale is None:
        raise UserError(f"{folder}: no pair has sides with a common factor: set it with --scale")
    with reporting_unwritable(out):
        journal = Journal(out, Request(str(pairing.high.resolve()), str(pairing.low.resolve()), scale))
        for line in [*pairing.notes, *_unpaired(listing)]:
            say(line)
        if pairing.validation:
            say(f"{pairing.validation.high}: validation images left out: name that folder to mend them")
        pairs = [pair for pair in listing.pairs if pair.lr]
        _repair_all(pairs, out, scale, journal, say)
    present = {pair.name for pair in pairs}
    known = [outcome for outcome in journal.outcomes if outcome.written or outcome.pair in present]
    counts = Counter((outcome.written, outcome.changed) for outcome in known)
    left_out = counts[False, False] + len(listing.unpaired) + len(listing.same_name)
    say(
        f"{out}: {counts[True, True]} pairs mended, {counts[True, False]} copied, {left_out} files or pairs left out, "
        f"at scale {scale}"
    )
    return not left_out


def _repair_all(pairs: Sequence[Pair], out: Path, scale: int, journal: Journal, say: Callable[[str], None]) -> None:
    written = {outcome.pair for outcome in journal.outcomes if outcome.written}
    done = {pair.name for pair in pairs if pair.name in written and all(map(any, _existing(pair, out)))}
    left = [pair for pair in pairs if pair.name not in done]
    if journal.outcomes:
        again = len({outcome.pair for outcome in journal.outcomes}.intersection(pair.name for pair in left))
        tried = f"; {again}, left out before or without their new files, are tried again" if again else ""
        say(f"{out}: {len(done)} pairs were done before{tried}")
        for folder in {(out / name / pair.name).parent for pair in pairs for name in (HIGH, LOW)}:
            remove_leftovers(folder)
    for path in [path for pair in left if pair.name in written for paths in _existing(pair, out) for path in paths]:
        path.unlink()  # half of a pair, which may get another suffix
    with thread_pool(os.cpu_count()) as pool, progress_bar() as progress:
        bar = progress.add_task("mending pairs", total=len(left))
        for start in range(0, len(left), _CHUNK):
            chunk = left[start : start + _CHUNK]
            for outcome in pool.map(partial(_repair_pair, out=out, scale=scale), chunk):
                journal.add(outcome)
                say(outcome.line)
                progress.advance(bar)


def _existing(pair: Pair, out: Path) -> list[list[Path]]:
    """The new files of a pair that exist: of the high resolution, and of the low."""
    assert pair.lr
    targets = ((out / name / pair.name, path.suffix) for name, path in ((HIGH, pair.hr), (LOW, pair.lr)))
    candidates = [[target.with_name(target.name + end) for end in {suffix, ".png"}] for target, suffix in targets]
    return [[path for path in paths if path.exists()] for paths in candidates]


def _repair_pair(pair: Pair, out: Path, scale: int) -> Outcome:
    assert pair.lr
    try:
        pictures = [read_picture(path) for path in (pair.hr, pair.lr)]
        mended = mend(pictures[0].pixels, pictures[1].pixels, scale)
    except (ImageFileError, UnmendableError) as error:
        return Outcome(pair.name, str(error), written=False)
    sources = zip((HIGH, LOW), (pair.hr, pair.lr), pictures, (mended.hr, mended.lr), strict=True)
    for name, path, picture, pixels in sources:
        _write(path, picture, pixels, out / name / pair.name)
    return Outcome(pair.name, ", ".join(mended.actions) or "copied", changed=bool(mended.actions))


def _write(source: Path, picture: Picture, pixels: Pixels, target: Path) -> None:
    """Copy a file whose pixels are unchanged; write others as PNG, with all else that the file says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if pixels.shape == picture.pixels.shape and (pixels == picture.pixels).all():
        with source.open("rb") as original, whole_file(target.with_name(target.name + source.suffix)) as file:
            shutil.copyfileobj(original, file)
        return
    with whole_file(target.with_name(f"{target.name}.png")) as file:
        deep = pixels.itemsize == 2
        height, width, channels = pixels.shape
        write_strips(
            file,
            ".png",
            [pixels],
            (height, width, channels),
            deep=deep,
            profile=picture.profile,
            metadata=picture.metadata,
        )


def _unpaired(listing: Listing) -> Iterator[str]:
    for path, folder in listing.unpaired:
        yield f"{path}: left out: has no partner of that name in {folder.name}/"
    for path, first in listing.same_name:
        yield f"{path}: left out: has the same name as {first.name}"


def _most_common_scale(pairs: Sequence[Pair]) -> int | None:
    """The factor of most pairs whose two sides agree on one, by the sizes in their headers."""
    counts: Counter[int] = Counter()
    for pair in pairs:
        if pair.lr:
            sizes = zip(upright_size(pair.hr), upright_size(pair.lr), strict=True)
            factors = {max(1, round(high / low)) if low else 0 for high, low in sizes}
            if len(factors) == 1 and 0 not in factors:
                counts.update(factors)
    return counts.most_common(1)[0][0] if counts else None
