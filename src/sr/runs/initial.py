"""The weights that a run starts from: what is taken from them, and whether they know images that are held out."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from sr.errors import UserError, listed, some_of
from sr.io.hashes import file_hash
from sr.lit_module import LitSR
from sr.runs.best import model_path
from sr.runs.schema import InitialWeights, RunResult
from sr.runs.trained_on import images_behind, initial_checkpoint, is_same_split, name_one, trained_among
from sr.terms import Part
from sr.weights.find import checkpoints_of
from sr.weights.initial import Copied, copy_weights, freeze

log = logging.getLogger(__name__)

_NAMED_TENSORS = 8  # in a line of the log


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
    tables, is_complete = images_behind(source)
    if len(files) > 1 and not (tables and is_same_split(tables[0], images)):
        raise UserError(f"init={config['init']}: its folds are not split as those of this run are: {name_one(files)}")
    held_out = [row for row in images if row["part"] != Part.TRAIN]
    _report_seen(config["init"], trained_among(held_out, tables), len(held_out), is_complete)


def _load(module: LitSR, config: Mapping[str, Any], source: Path, frozen: list[str]) -> InitialWeights:
    weights_hash = file_hash(source) if source.is_file() else ""  # first: a running training replaces the file
    try:
        copied = copy_weights(module.net, source)
    except UserError as error:
        raise UserError(f"init={error}") from error
    differing = [f"{name} ({reason})" for name, reason in copied.fresh.items()]
    differing += [f"{name} (not in this network)" for name in copied.unused]
    if config["init_strict"] and differing:
        raise UserError(f"init_strict: {source} does not fit this network: {listed(differing, _NAMED_TENSORS)}")
    if fixed := [name for name in frozen if name in copied.fresh]:
        raise UserError(f"init_freeze: {fixed[0]} starts anew ({copied.fresh[fixed[0]]}): it has to be trained")
    _report_copied(config["init"], copied, frozen)
    return InitialWeights(config["init"], weights_hash, copied.steps, len(copied.loaded), [*copied.fresh], frozen)


@rank_zero_only
def _report_copied(name: str, copied: Copied, frozen: Sequence[str]) -> None:
    parts = [f"init={name}: {len(copied.loaded)} of {len(copied.loaded) + len(copied.fresh)} tensors loaded"]
    if copied.note:
        parts.append(copied.note)
    if copied.fresh:
        fresh = [f"{tensor} ({reason})" for tensor, reason in copied.fresh.items()]
        parts.append(f"start anew: {listed(fresh, _NAMED_TENSORS)}")
    if copied.unused:
        parts.append(f"not used: {listed(copied.unused, _NAMED_TENSORS)}")
    if frozen:
        parts.append(f"frozen: {listed(frozen, _NAMED_TENSORS)}")
    log.info("; ".join(parts))


@rank_zero_only
def _report_seen(name: str, seen: Sequence[str], count: int, is_complete: bool) -> None:
    if seen:
        log.warning(
            "WARNING: init=%s: its weights were trained on %d of the %d validation and test images of this run (%s): "
            "the scores will be too good",
            *(name, len(seen), count, some_of(seen)),
        )
    elif not is_complete:
        log.info(
            "init=%s: which images its weights were trained on is not recorded, so it is not known whether validation "
            "and test images of this run are among them",
            name,
        )
