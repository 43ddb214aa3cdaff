"""Which images a checkpoint was trained on: those of its run, and of the runs that it started from."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.runs.best import model_path
from sr.runs.schema import read_result
from sr.terms import Part
from sr.weights.find import checkpoints_of


def initial_checkpoint(config: Mapping[str, Any]) -> Path:
    """The file that ``init`` names; of a run with folds, that of the same fold: others have seen what it validates.

    Raises:
        UserError: if there is none, or several and none is of the same fold of as many.
    """
    data = config["data"]
    try:
        name = model_path(config["init"], quiet=True)
        files = checkpoints_of(name)
    except UserError as error:
        raise UserError(f"init={error}") from error
    if len(files) == 1:
        return files[0]
    fold = data.get("fold") if data.get("fold") != "all" else 0  # the first stands for all
    same_fold = RunFolder(Path(name)).fold(fold or 0).best
    if data.get("folds") == len(files) and same_fold in files:
        return same_fold
    kind = "seeds" if RunFolder(Path(name)).seeds else "folds, which are not those of this run"
    raise UserError(f"init={name}: holds {len(files)} networks, of its {kind}: {name_one(files)}")


def images_behind(source: Path) -> tuple[list[list[dict[str, str]]], bool]:
    """The image lists of the run that made a checkpoint and of those it started from; and whether these are all.

    Args:
        source: the file of the weights.
    """
    tables: list[list[dict[str, str]]] = []
    files: set[Path] = set()
    while source not in files:  # a run may have been trained again from one that started from it
        files.add(source)
        run = RunFolder(source.absolute().parent.parent)
        if source.absolute().parent != run.checkpoints or not run.split.is_file():
            return tables, False
        try:
            rows = read_table(run.split)
            if not all(row.keys() >= {"part", "hash"} for row in rows):
                return tables, False
            tables.append(rows)
            result = read_result(run.path)
            if result is None or result.initial is None:
                return tables, result is not None
            source = initial_checkpoint(result.config)
        except (UserError, UnicodeDecodeError, csv.Error):
            return tables, False
    return tables, True


def trained_among(images: Sequence[Mapping[str, str]], tables: Sequence[Sequence[Mapping[str, str]]]) -> list[str]:
    """The names, sorted, of the images that were trained on.

    Args:
        images: rows with ``name``, ``hash`` and ``hr_hash``.
        tables: of `images_behind`.
    """
    trained = {row[_key(rows)] for rows in tables for row in rows if row["part"] == Part.TRAIN}
    return sorted(row["name"] for row in images if {row["hash"], row["hr_hash"]} & trained)


def is_same_split(recorded: Sequence[Mapping[str, str]], images: Sequence[Mapping[str, str]]) -> bool:
    """Whether a run has the images of another, in the same parts.

    Args:
        recorded: rows of the other's ``split.csv``.
        images: as `sr.datamodule.ISRDataModule.image_list` lists them.
    """
    key = _key(recorded)
    there, here = ({row[key]: row["part"] for row in rows} for rows in (recorded, images))
    return there == here


def name_one(files: Sequence[Path]) -> str:
    """The end of a message about a run with several networks."""
    return f"name one of them, such as init={files[0]}"


def _key(rows: Sequence[Mapping[str, str]]) -> str:
    """The column that tells images apart; runs of earlier versions did not record the sharp image alone."""
    return "hr_hash" if rows and "hr_hash" in rows[0] else "hash"
