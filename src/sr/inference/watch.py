"""Follow folders: enlarge what is put into them until Ctrl-C."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from sr.errors import UserError
from sr.inference.inputs import Job

POLL = 1.0  # seconds between two looks: a file that has not changed in between is complete

_State: TypeAlias = tuple[int, int]  # size and time


def check_can_be_watched(inputs: Sequence[str], out: str) -> None:
    """Check that folders are followed, into a folder.

    Raises:
        UserError: if not.
    """
    for text in inputs:
        if not Path(text).is_dir():
            raise UserError(f"{text}: --watch follows folders, and this is none")
    if Path(out).suffix and not Path(out).is_dir():
        raise UserError(f"-o {out}: --watch writes into a folder")


def follow(
    look: Callable[[], Sequence[Job]],
    enlarge: Callable[[Sequence[Job]], None],
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Enlarge the files that are there and those that come, until interrupted.

    A file is taken once its size and time have stayed the same from one look to the next, and again if they change.

    Args:
        look: lists the files.
        enlarge: enlarges some of them.
        wait: for so many seconds.
    """
    taken: dict[Path, _State] = {}
    before: dict[Path, _State] = {}
    sys.stderr.write("watching: Ctrl-C ends it\n")
    while True:
        jobs = {job.source: job for job in look() if job.source}
        now = {path: state for path in jobs if (state := _state(path))}
        complete = [path for path, state in now.items() if before.get(path) == state != taken.get(path)]
        if complete:
            enlarge([jobs[path] for path in complete])
        taken |= {path: now[path] for path in complete}
        before = now
        wait(POLL)


def _state(path: Path) -> _State | None:
    try:
        status = path.stat()
    except OSError:  # it was removed
        return None
    return status.st_size, status.st_mtime_ns
