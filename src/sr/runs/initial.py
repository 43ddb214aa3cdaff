"""The weights that a run starts from: which file, what is taken from it, and which images they have seen."""

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from sr.errors import UserError
from sr.io.hashes import file_hash
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table
from sr.lit_module import LitSR
from sr.runs.best import model_path
from sr.runs.schema import InitialWeights, RunResult, read_result
from sr.terms import Part
from sr.weights.find import checkpoints_of
from sr.weights.initial import Copied, copy_weights, freeze

log = logging.getLogger(__name__)

_NAMED_TENSORS, _NAMED_IMAGES = 8, 3  # in a line of the log


def start_weights(
    module: LitSR, config: Mapping[str, Any], resumed: RunResult | None
) -> tuple[InitialWeights | None, Path | None]:
    """Freeze what ``init_freeze`` names, and unless a checkpoint will replace them, load the weights of ``init``.

    Args:
        module: its network is changed in place.
        config: the resolved config.
        resumed: the record of the run whose checkpoint will be loaded.

    Returns:
        The record of the initial weights, and the file they were read from; None without any, or if it was not read.

    Raises:
        UserError: if there are no such weights, if they do not fit, or if fresh layers would be frozen.
    """
    frozen = freeze(module.net, config["init_freeze"]) if config["init_freeze"] else []
    if resumed or config["init"] is None:
        initial, source = resumed.initial if resumed else None, None
    else:
        model_path(config["init"])  # says which cell of a sweep it is
        source = initial_checkpoint(config)
        initial = _load(module, config, source, frozen)
    module.steps_before = initial.steps if initial else 0
    return initial, source


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
    raise UserError(f"init={name}: holds {len(files)} networks, of its {kind}: {_name(files)}")


def check_held_out(config: Mapping[str, Any], source: Path, images: Sequence[Mapping[str, str]]) -> None:
    """Warn if the initial weights have been trained on images that this run validates or tests on.

    Args:
        config: the resolved config.
        source: the file of the weights.
        images: of this run, as `sr.datamodule.ISRDataModule.image_list` lists them.

    Raises:
        UserError: if the weights are those of one fold of several, which were split otherwise.
    """
    files = checkpoints_of(model_path(config["init"], quiet=True))
    tables, is_complete = _images_behind(source)
    if len(files) > 1 and not (tables and _is_same_split(tables[0], images)):
        raise UserError(f"init={config['init']}: its folds are not split as those of this run are: {_name(files)}")
    trained = {row[_key(rows)] for rows in tables for row in rows if row["part"] == Part.TRAIN}
    held_out = [row for row in images if row["part"] != Part.TRAIN]
    seen = sorted(row["name"] for row in held_out if {row["hash"], row["hr_hash"]} & trained)
    _report_seen(config["init"], seen, len(held_out), is_complete)


def _name(files: Sequence[Path]) -> str:
    return f"name one of them, such as init={files[0]}"


def _load(module: LitSR, config: Mapping[str, Any], source: Path, frozen: list[str]) -> InitialWeights:
    weights_hash = file_hash(source) if source.is_file() else ""  # first: a running training replaces the file
    try:
        copied = copy_weights(module.net, source)
    except UserError as error:
        raise UserError(f"init={error}") from error
    differing = [f"{name} ({reason})" for name, reason in copied.fresh.items()]
    differing += [f"{name} (not in this network)" for name in copied.unused]
    if config["init_strict"] and differing:
        raise UserError(f"init_strict: {source} does not fit this network: {_listed(differing)}")
    if fixed := [name for name in frozen if name in copied.fresh]:
        raise UserError(f"init_freeze: {fixed[0]} starts anew ({copied.fresh[fixed[0]]}): it has to be trained")
    _report_copied(config["init"], copied, frozen)
    return InitialWeights(config["init"], weights_hash, copied.steps, len(copied.loaded), [*copied.fresh], frozen)


def _images_behind(source: Path) -> tuple[list[list[dict[str, str]]], bool]:
    """The image lists of the run that made a checkpoint and of those it started from; and whether these are all."""
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


def _key(rows: Sequence[Mapping[str, str]]) -> str:
    """The column that tells images apart; runs of earlier versions did not record the sharp image alone."""
    return "hr_hash" if rows and "hr_hash" in rows[0] else "hash"


def _is_same_split(recorded: Sequence[Mapping[str, str]], images: Sequence[Mapping[str, str]]) -> bool:
    key = _key(recorded)
    there, here = ({row[key]: row["part"] for row in rows} for rows in (recorded, images))
    return there == here


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_TENSORS} more" if len(names) > _NAMED_TENSORS else ""
    return ", ".join(names[:_NAMED_TENSORS]) + more


@rank_zero_only
def _report_copied(name: str, copied: Copied, frozen: Sequence[str]) -> None:
    parts = [f"init={name}: {len(copied.loaded)} of {len(copied.loaded) + len(copied.fresh)} tensors loaded"]
    if copied.fresh:
        parts.append(f"start anew: {_listed([f'{tensor} ({reason})' for tensor, reason in copied.fresh.items()])}")
    if copied.unused:
        parts.append(f"not used: {_listed(copied.unused)}")
    if frozen:
        parts.append(f"frozen: {_listed(frozen)}")
    log.info("; ".join(parts))


@rank_zero_only
def _report_seen(name: str, seen: Sequence[str], count: int, is_complete: bool) -> None:
    if seen:
        more = ", ..." if len(seen) > _NAMED_IMAGES else ""
        log.warning(
            "WARNING: init=%s: its weights were trained on %d of the %d validation and test images of this run (%s%s): "
            "the scores will be too good",
            *(name, len(seen), count, ", ".join(seen[:_NAMED_IMAGES]), more),
        )
    elif not is_complete:
        log.info(
            "init=%s: which images its weights were trained on is not recorded, so it is not known whether validation "
            "and test images of this run are among them",
            name,
        )
