"""What all trackers share: the contract, and the id under which a tracker knows a run."""

import json
import uuid
from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from sr.errors import UserError
from sr.io.atomic import write_text
from sr.io.run_folder import RunFolder


class Ending(StrEnum):
    """How a run ended: done, with an error, by a search that saw no promise in it, or by Ctrl-C or a signal."""

    FINISHED = "finished"
    FAILED = "failed"
    PRUNED = "pruned"
    INTERRUPTED = "interrupted"


@runtime_checkable
class Tracker(Protocol):
    """A logger that keeps more than curves.

    If its constructor takes ``resumed_at`` it is told the step that a run is resumed at, None for one that begins.
    """

    label: str  # its name in messages

    def show(self, name: str, picture: Tensor, step: int) -> None:
        """Keep a picture, uint8 ``(3, H, W)``."""

    def describe(self, options: Mapping[str, object]) -> None:
        """Keep the options of the run, by their names with dots."""

    def conclude(self, scores: Mapping[str, float], step: int) -> None:
        """Keep the final scores, of a run of so many steps, beside the options."""

    def close(self, ending: Ending) -> None:
        """End the run in the tracker, so that the next one of this process can begin."""


def need(package: str, logger: str) -> None:
    """Check that the package of a tracker is installed.

    Raises:
        UserError: if not.
    """
    if not find_spec(package):
        raise UserError(f"logger={logger} needs {package}: pip install 'sr-compare[trackers]'")


def known_id(run_dir: str | Path, tracker: str) -> str | None:
    """The id that a tracker gave to the run of this folder when it began; None before that."""
    return _ids(Path(run_dir)).get(tracker)


def new_id() -> str:
    """An id for a run that begins."""
    return uuid.uuid4().hex[:12]


def keep_id(run_dir: str | Path, tracker: str, number: str) -> None:
    """Note the id, so that a resumed run continues the same one."""
    folder = Path(run_dir)
    if known_id(folder, tracker) != number:
        write_text(RunFolder(folder).trackers, json.dumps(_ids(folder) | {tracker: number}, indent=2) + "\n")


def _ids(folder: Path) -> dict[str, str]:
    path = RunFolder(folder).trackers
    if not path.is_file():
        return {}
    try:
        ids: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: is damaged: delete it, and trackers begin a new run") from error
    return ids
