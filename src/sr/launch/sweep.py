"""The plan of a sweep, written before its first cell, and its summary after the last."""

import itertools
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from sr.errors import UserError, line_of
from sr.io.atomic import write_text
from sr.launch.folder import refuse
from sr.launch.names import GROUPS, VARIES, cell_name, quoted
from sr.runs.status import PLAN, UNFINISHED, counts, find_cells
from sr.terms import direction

log = logging.getLogger(__name__)

_FAILURES = ".failures"  # one line per failed run, from all processes
_SOME_FAILED, _BAD_INPUT = 1, 2  # exit codes


class Summary(Callback):
    """Hydra callback: writes the plan of a sweep at its start, and logs the status of its cells at the end."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the plan, which tells `sr status` the pending cells; a search has no plan.

        Exits with code 2 for a search that would find the worst, or stop trials by another score than its objective.
        """
        overrides = [f"{name}={value}" for name, value in (config.hydra.sweeper.get("params") or {}).items()]
        overrides += config.hydra.overrides.task
        _name_sweep(config, overrides)
        if not _is_grid(config):
            if reason := _contradiction(config):
                log.error("error: %s", reason)
                sys.exit(_BAD_INPUT)
            return
        try:
            cells = planned(overrides)
        except HydraException as error:
            refuse(f"{line_of(error)}: list values, as in seed=1,2, or search with hydra/sweeper=optuna")
        if reason := incomplete_choice(overrides):
            refuse(reason)
        names = _names(config, cells)
        folder = Path(config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / PLAN, json.dumps({"cells": names}, indent=2) + "\n")
        (folder / _FAILURES).unlink(missing_ok=True)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Log failed and unfinished cells, and exit with code 1 if there are any; a search does this itself.

        Repeating the command tries these cells again.
        """
        if not _is_grid(config):
            return
        folder = Path(config.hydra.sweep.dir)
        failed = _take_failures(folder)
        try:
            cells = [cell for cell in find_cells(folder) if "/" not in cell.name]  # not those of sweeps inside it
        except UserError:  # no run has created a folder; the reasons are logged
            cells = []
        unfinished = [cell for cell in cells if cell.status in UNFINISHED]
        refused = max(0, failed - len(unfinished))
        parts = [counts(cells), f"{refused} refused, see above" if refused else ""]
        log.info("%s: %s", folder, ", ".join(filter(None, parts)))
        for cell in unfinished:
            log.warning("%s %s: %s", cell.name, cell.status, cell.reason)
        if failed or unfinished:
            sys.exit(_SOME_FAILED)


def _contradiction(config: DictConfig) -> str:
    """What a search contradicts itself in; empty for none. Other faults of its options are the sweeper's to find."""
    if isinstance(config.objectives, str):
        return f"objectives={config.objectives}: a list is needed: 'objectives=[{config.objectives}]'"
    sweeper, objectives = config.hydra.sweeper, list(config.objectives or [])
    given = sweeper.get("direction")
    given = [given] if isinstance(given, str) else list(given or [])
    if not objectives:
        if given in (["maximize"], ["minimize"]) and given != [f"{config.mode}imize"]:
            return f"hydra.sweeper.direction={given[0]} contradicts mode={config.mode}: change one of them"
        return ""
    for name, wrong in zip(objectives, given, strict=False):
        right = f"{direction(name, config.metrics)}imize"
        if {wrong, right} == {"maximize", "minimize"}:
            return f"hydra.sweeper.direction={wrong} would find the worst {name}: {right} it"
    pruner = sweeper.get("pruner")
    if objectives != [config.monitor] and len(objectives) == 1 and pruner not in (None, "none"):
        return (
            f"hydra.sweeper.pruner={pruner} stops trials by {config.monitor}, which is not the objective, "
            f"{objectives[0]}: use hydra.sweeper.pruner=none"
        )
    return ""


def _name_sweep(config: DictConfig, overrides: Sequence[str]) -> None:
    """Make ``name=`` the folder of the jobs: it names the sweep, and their own names are those of their cells.

    Refuses a list of names; says so if ``hydra.sweep.dir`` is given as well, which wins.
    """
    if any(_is_name(override.get_key_element()) and override.is_sweep_override() for override in _parsed(overrides)):
        refuse("name= names the whole sweep: it takes a single name, its cells are named by what varies")
    if config.name is None:
        return
    folder = Path(config.hydra.sweep.dir)
    if folder.name != str(config.name):
        log.warning("name=%s is not used: hydra.sweep.dir=%s names the folder of this sweep", config.name, folder)
    of_jobs = config.hydra.overrides
    of_jobs.task = [override for override in of_jobs.task if not _is_name(override.partition("=")[0])]
    of_jobs.hydra.append(f"hydra.sweep.dir={quoted(folder)}")


def _is_name(key: str) -> bool:
    return key.lstrip("+") == "name"


def _names(config: DictConfig, cells: Sequence[Mapping[str, str]]) -> list[str]:
    """The folders of the cells; tells their jobs what varies, and refuses two cells in one folder."""
    varies = varying(cells)
    pattern = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"]  # type: ignore[index, call-overload]
    names = folder_names(cells, pattern, _choices_of(config, varies))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        refuse(
            f"two cells of this sweep get the folder {twice[0]}: list no value twice, and leave hydra.sweep.subdir "
            "out, or name every option in it that varies"
        )
    config.hydra.overrides.hydra.append(f"++{VARIES}=[{','.join(map(quoted, varies))}]")
    return names


def _is_grid(config: DictConfig) -> bool:
    return str(config.hydra.sweeper._target_).endswith(".BasicSweeper")


def note_failure() -> None:
    """Count the current job of a sweep as failed."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.cwd, hydra.sweep.dir)  # with hydra.job.chdir=true the job runs in its own folder
    with (folder / _FAILURES).open("a", encoding="utf-8") as file:
        file.write(f"{hydra.job.num}\n")


def _take_failures(folder: Path) -> int:
    """Return the number of failed jobs, and reset it."""
    path = folder / _FAILURES
    count = len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0
    path.unlink(missing_ok=True)
    return count


def planned(overrides: Sequence[str]) -> list[dict[str, str]]:
    """The cells of a sweep: the product of its lists, where later overrides of an option replace earlier ones.

    >>> planned(["model=a,b", "seed=1", "model=a,c"])
    [{'model': 'a', 'seed': '1'}, {'model': 'c', 'seed': '1'}]
    """
    values_by_key: dict[str, list[str]] = {}
    for override in _parsed(overrides):
        key = override.get_key_element()
        if override.is_sweep_override():
            values_by_key[key] = [str(value) for value in override.sweep_string_iterator()]
        else:
            values_by_key[key] = [override.get_value_element_as_str()]
    return [dict(zip(values_by_key, cell, strict=True)) for cell in itertools.product(*values_by_key.values())]


def _parsed(overrides: Sequence[str]) -> list[Override]:
    hydra = GlobalHydra.instance()
    loader = hydra.config_loader() if hydra.is_initialized() else None  # for globs, such as model=glob(*)
    parsed: list[Override] = OverridesParser.create(config_loader=loader).parse_overrides(overrides=list(overrides))
    return parsed


def incomplete_choice(overrides: Sequence[str]) -> str:
    """Why a choice that a glob makes from a config group cannot be trained; empty if all of them can."""
    parsed, hydra = _parsed(overrides), GlobalHydra.instance()
    loader: Any = hydra.config_loader() if hydra.is_initialized() else None
    options = {override.get_key_element().lstrip("+") for override in parsed}
    for override in parsed:
        pattern: Any = override.value()  # its annotation lacks globs
        group = override.get_key_element()
        if not isinstance(pattern, Glob):
            continue
        for choice in override.sweep_string_iterator():
            loaded = loader.repository.load_config(f"{group}/{choice}")
            node = loaded.config if loaded else {}
            needed = [f"{group}.{name}" for name in node if OmegaConf.is_missing(node, name)]
            if missing := [option for option in needed if option not in options]:
                include, exclude = ",".join(pattern.include), ",".join([*pattern.exclude, str(choice)])
                return (
                    f"{group}: the glob includes {choice}, which needs {missing[0]}: leave it out, with "
                    f"'{group}=glob([{include}],exclude=[{exclude}])'"
                )
    return ""


def varying(cells: Sequence[Mapping[str, str]]) -> list[str]:
    """The options that differ between cells.

    >>> varying(planned(["model=a,b", "seed=1", "scale=2,3"]))
    ['model', 'scale']
    """
    return [key for key in cells[0] if len({cell[key] for cell in cells}) > 1]


def folder_names(
    cells: Sequence[Mapping[str, str]],
    pattern: str,
    choices: Callable[[Mapping[str, str]], Mapping[str, str]],
) -> list[str]:
    """Folder names of the cells by ``hydra.sweep.subdir``, without those that depend on more than is known here.

    Args:
        cells: the options of each.
        pattern: with ``${cell_name:}``, ``${hydra:runtime.choices.GROUP}`` and ``${hydra:job.num}`` in it.
        choices: returns the choices of the config groups in a cell.

    >>> cells = [{"model": "a"}, {"model": "b"}]
    >>> folder_names(cells, "${hydra:runtime.choices.model}_${hydra:job.num}", lambda cell: cell)
    ['a_0', 'b_1']
    """
    names = []
    varies = varying(cells)
    for number, cell in enumerate(cells):
        cell_choices = choices(cell)
        known = {"${cell_name:}": cell_name(cell_choices, cell, varies), "${hydra:job.num}": str(number)}
        known |= {f"${{hydra:runtime.choices.{group}}}": str(choice) for group, choice in cell_choices.items()}
        names.append(re.sub(r"\$\{[^{}]*\}", lambda match: known.get(match[0], match[0]), pattern))  # noqa: B023
    return [name for name in names if "${" not in name]


def _choices_of(config: DictConfig, varies: Sequence[str]) -> Callable[[Mapping[str, str]], Mapping[str, str]]:
    """A function that returns the choices of the config groups in a cell.

    Where groups such as ``experiment`` vary, which may choose others, it composes the config of each of their choices.
    """
    choices = dict(config.hydra.runtime.choices)
    choosing = {key for key in varies if key in choices and key not in GROUPS}

    @cache
    def composed(overrides: tuple[str, ...]) -> Mapping[str, str]:
        loader = GlobalHydra.instance().config_loader()
        return dict(loader.load_sweep_config(config, list(overrides)).hydra.runtime.choices)

    def choices_of(cell: Mapping[str, str]) -> Mapping[str, str]:
        if not choosing:
            return {**choices, **cell}
        overrides = (f"{key}={value}" for key, value in cell.items() if key in choosing or key not in varies)
        return {**composed(tuple(overrides)), **cell}

    return choices_of
