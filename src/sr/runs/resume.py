"""What an interrupted run left behind: the checkpoint to resume from, and logs that reach beyond it."""

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from sr.errors import line_of
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table, write_table
from sr.weights.reading.archive import check_archive

log = logging.getLogger(__name__)

# What a run cannot be resumed without.
_NEEDED = frozenset({"state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers", "global_step", "random"})


def find_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The last whole checkpoint of a run folder, and the number of steps it has seen; None without any.

    Torn ones are passed over with a warning that names them.
    """
    files = RunFolder(folder)
    for path in (files.last, files.previous):
        if not path.is_file():
            continue
        try:
            return path, int(_read(path)["global_step"])
        except Exception as error:  # a torn file fails in many ways
            log.warning("%s: is torn (%s), using the checkpoint before it", path, line_of(error))
    return None


def _read(path: Path) -> dict[str, Any]:
    check_archive(path)
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if missing := sorted(_NEEDED - checkpoint.keys()):
        raise ValueError(f"no {', '.join(missing)} in it")
    return checkpoint


@rank_zero_only
def cut_step_tables(folder: Path, steps: int) -> None:
    """Drop from the tables of ``logger=csv`` what was logged after the checkpoint: it will be logged again."""
    for path in RunFolder(folder).step_tables:
        rows = read_table(path)
        kept = [row for row in rows if int(row["step"]) < steps]
        if len(kept) < len(rows):
            write_table(path, kept, list(rows[0]))
