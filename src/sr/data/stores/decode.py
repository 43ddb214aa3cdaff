"""Decode images in parallel, in order."""

import logging
import os
from collections.abc import Iterator, Sequence

from rich.progress import track

from sr.data.sources import Source
from sr.data.stores.kinds import LoadPair
from sr.data.stores.packed import Pair
from sr.errors import UserError
from sr.io.images import ImageFileError
from sr.machine.pools import thread_pool

log = logging.getLogger(__name__)

_IMAGES_AHEAD = 4  # per processor
_QUIET_BELOW = 200  # no progress bar for fewer images, which take about a second


def decode_all(sources: Sequence[Source], load: LoadPair, *, skip_bad: bool) -> Iterator[tuple[Source, Pair]]:
    """Decode a few images ahead, in threads, since Pillow and torch release the interpreter lock.

    Args:
        sources: decoded and returned in this order.
        load: decodes one source.
        skip_bad: leave out unreadable files, with a warning for each.

    Raises:
        UserError: at the first unreadable file, unless such files are skipped.
    """
    window = _IMAGES_AHEAD * (os.cpu_count() or 1)
    with thread_pool() as pool:
        pending = [pool.submit(load, source) for source in sources[:window]]
        numbers = range(len(sources))
        try:
            for number in track(numbers, "decoding images", transient=True, disable=len(sources) < _QUIET_BELOW):
                future = pending.pop(0)
                if number + window < len(sources):
                    pending.append(pool.submit(load, sources[number + window]))
                try:
                    yield sources[number], future.result()
                except ImageFileError as error:
                    if not skip_bad:
                        raise UserError(f"{error}, or skip such files with data.on_bad_file=skip") from error
                    log.warning("skipped %s", error)
        finally:
            for future in pending:
                future.cancel()
