"""The record of a run while it trains: who holds its folder, what it held before, how it ended."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from sr.errors import DivergedError, PrunedError, UserError
from sr.io.atomic import is_full_disk, remove_leftovers
from sr.io.locks import hold, is_held
from sr.io.paths import shortest_path
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table, write_table
from sr.machine.environment import environment
from sr.machine.processes import is_rank_zero
from sr.runs.identity import command, data_differences, differences
from sr.runs.schema import Extension, Process, RunResult, Status, read_result, write_result
from sr.terms import DataSummary, Protocol

log = logging.getLogger(__name__)

_PATIENCE = 120.0  # seconds
_GROUPS = ("model", "loss", "optimizer", "scheduler", "data", "trainer", "experiment")


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Make a run folder and hold its lock, so that no other command trains in it.

    In a sweep it waits a while for a worker that a killed sweep left behind: the worker ends after its current step.

    Raises:
        UserError: if another process holds the folder, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_rank_zero():
            with _locked(folder):
                yield
        else:  # of several processes that train one run, rank 0 holds its folder
            yield
    except OSError as error:
        if is_full_disk(error):
            raise UserError(f"{folder}: the disk is full: free some space, and repeat the command to resume") from error
        raise


def in_sweep() -> bool:
    """Whether this run is a job of a Hydra multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    files = RunFolder(folder)
    if in_sweep() and is_held(files.lock):
        log.info("%s: %s, waiting for it", folder, _holder(folder))
    with hold(files.lock, _PATIENCE if in_sweep() else 1) as free:
        if not free:
            raise UserError(
                f"{folder}: {_holder(folder)}: wait for it, or choose another folder (name=, hydra.run.dir)"
            )
        for place in (files.path, files.checkpoints):
            remove_leftovers(place)
        yield


def _holder(folder: Path) -> str:
    try:
        result = read_result(folder)
    except UserError:
        result = None
    if result is None or result.process is None:
        return "another process trains this run"
    return f"process {result.process.id} on {result.process.host} has trained this run since {result.started}"


def earlier_run(folder: Path, config_dict: Mapping[str, Any]) -> RunResult | None:
    """The record of the same run that the folder holds, done or to be resumed; None for a fresh start.

    Raises:
        UserError: if the folder holds another run.
    """
    files = RunFolder(folder)
    if config_dict["retrain"]:
        return None
    earlier = read_result(folder)
    if earlier is None:
        if files.has_checkpoints:
            name = files.result.name
            raise UserError(
                f"{folder}: holds checkpoints of a run without {name}: choose another folder (name=), or retrain=true"
            )
        return None
    different = differences(earlier.config, config_dict)
    if not different:
        return earlier
    if files.can_be_resumed and (extension := _extension(earlier, config_dict)):
        log.info(
            "%s: extended from %d to %d epochs; the learning rate follows the schedule of the new length from here on",
            *(folder, extension.before, extension.after),
        )
        return replace(earlier, status=Status.INTERRUPTED, extensions=[*earlier.extensions, extension])
    if files.has_checkpoints or earlier.is_done:
        more = f" (and {len(different) - 1} more)" if len(different) > 1 else ""
        raise UserError(
            f"{folder}: holds a run of another config, {different[0]}{more}: choose another folder "
            "(name=, hydra.run.dir, for a sweep hydra.sweep.dir), or retrain=true; "
            "only more seeds or more trainer.max_epochs extend a run"
        )
    return None  # it failed before it trained


def _extension(earlier: RunResult, config_dict: Mapping[str, Any]) -> Extension | None:
    """The extension that a config asks of a run; None if it changes anything but adds epochs.

    Raises:
        UserError: if the number of epochs is not what ended the run.
    """
    before, after = (config.get("trainer", {}).get("max_epochs") for config in (earlier.config, config_dict))
    if not (isinstance(before, int) and isinstance(after, int) and before < after):
        return None
    longer = {**earlier.config, "trainer": {**earlier.config["trainer"], "max_epochs": after}}
    if differences(longer, config_dict):
        return None
    if earlier.is_done and earlier.epochs < before:
        raise UserError(
            f"{config_dict['run_dir']}: the run ended after {earlier.epochs} of {before} epochs, by another limit such "
            "as trainer.max_steps or trainer.max_time, so that more epochs do not extend it: choose another folder "
            "(name=), or retrain=true"
        )
    table = RunFolder(Path(config_dict["run_dir"])).metrics
    return Extension(len(read_table(table)) if table.is_file() else 0, before, after)


def clear(folder: Path) -> None:
    """Delete what an earlier run left in its folder, for ``retrain=true``.

    Only rank 0 does: the other processes of a run start later, and would delete what rank 0 has written by then.
    """
    if is_rank_zero():
        paths = list(RunFolder(folder).written_by_training())
        if paths:
            names = sorted(str(path.relative_to(folder)) for path in paths)
            log.info("%s: retrain=true deletes the earlier run: %s", folder, ", ".join(names))
        for path in paths:
            path.unlink()


@rank_zero_only
def remove_test_scores(folder: Path) -> None:
    """Delete the table of test images of a run that trains on: its best weights may become others."""
    RunFolder(folder).test_images.unlink(missing_ok=True)


def new_result(
    config_dict: dict[str, Any], changes: Mapping[str, Any] | None = None, device: torch.device | None = None
) -> RunResult:
    """What is known of a run before it trains: config, choices, the command that repeats it, versions and machine.

    Args:
        config_dict: the resolved config.
        changes: options that differ from the command line's.
        device: that trains; it tells which GPU the machine is described by.
    """
    choices: dict[str, str | None] = {}
    line = None
    if HydraConfig.initialized():
        hydra = HydraConfig.get()
        choices = {group: hydra.runtime.choices.get(group) for group in _GROUPS}
        mode = {"hydra.mode": "RUN"} if hydra.mode == RunMode.MULTIRUN else {}  # one cell, not the sweep
        places = [word for word in hydra.overrides.hydra if word.startswith("hydra.searchpath=")]
        given = (source.path for source in hydra.runtime.config_sources if source.provider == "command-line")
        places += [f"--config-dir={shortest_path(Path(folder))}" for folder in given]
        line = command([*places, *hydra.overrides.task], {**mode, **(changes or {})})
    about = environment(device)
    return RunResult(
        status=Status.RUNNING,
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        process=Process(socket.gethostname(), os.getpid()),
        config=config_dict,
        choices=choices,
        command=line,
        versions=about.versions,
        machine=about.machine,
        git_commit=about.git_commit,
        scale=config_dict["scale"],
        protocol=Protocol(config_dict["scorer"]["protocol"]),
    )


def check_same_images(
    folder: Path,
    images: Sequence[Mapping[str, str]],
    data: DataSummary | None,
    *,
    is_resumed: bool,
    others: Sequence[RunFolder] = (),
) -> None:
    """Refuse to resume a run, or to join a training to others, with images other than those they began with.

    Args:
        folder: of the run.
        images: the present ones, as `sr.datamodule.ISRDataModule.image_list` lists them.
        data: their summary.
        is_resumed: whether the run has trained before.
        others: trainings of the same cell, or of another trial of the search; seeds share images and split, folds share
            the images alone.

    Raises:
        UserError: with what was added, removed or changed.
    """
    run = RunFolder(folder)
    way_out = "restore them, choose another folder (name=, hydra.run.dir), or retrain=true"
    if is_resumed and (different := _image_differences(run, images, data)):
        raise UserError(f"{folder}: the images differ from those this run began with: {different}: {way_out}")
    for other in others:
        of_split = not run.is_fold or run.number == other.number
        if other != run and (different := _image_differences(other, images, data, of_split=of_split)):
            name: Path | str = other.path
            if other.path.is_relative_to(run.cell.path):
                name = other.path.relative_to(run.cell.path)
            else:  # another trial, beside which this one would be ranked even if it were trained again
                way_out = "restore them, or choose another folder (name=, hydra.sweep.dir)"
            raise UserError(f"{folder}: the images differ from those of {name}: {different}: {way_out}")


def _image_differences(
    run: RunFolder, images: Sequence[Mapping[str, str]], data: DataSummary | None, *, of_split: bool = True
) -> str:
    """How images differ from those that a run recorded, in words; runs of earlier versions recorded a fingerprint."""
    if run.split.is_file():
        return data_differences(read_table(run.split), images, of_split=of_split)
    result = read_result(run.path)
    if result and result.data and data and result.data.fingerprint != data.fingerprint:
        return "they have another fingerprint"
    return ""


@rank_zero_only
def record(folder: Path, result: RunResult, images: Sequence[Mapping[str, str]] = ()) -> None:
    """Write the record and, when training begins, the list of images, on one process only."""
    folder.mkdir(parents=True, exist_ok=True)
    if images:
        write_table(RunFolder(folder).split, images)
    write_result(folder, result)


def status_of(error: BaseException) -> tuple[Status, str]:
    """Status and one-line reason of a run that ended with an error."""
    if isinstance(error, DivergedError):
        return Status.DIVERGED, _reason(error)
    if isinstance(error, PrunedError):
        return Status.PRUNED, _reason(error)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return Status.INTERRUPTED, _reason(error)
    return Status.FAILED, _reason(error)


def _reason(error: BaseException) -> str:
    """The reason in one line; Hydra wraps what a constructor raised."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return str(cause)
        cause = cause.__cause__
    if isinstance(error, SIGTERMException):
        return "SIGTERM"
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "Ctrl-C"
    text = " ".join(str(error).split())
    return text if isinstance(error, DivergedError | PrunedError) else f"{type(error).__name__}: {text}"
