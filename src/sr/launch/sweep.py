"""The plan of a sweep, written before its first cell, and its summary after the last."""

import itertools
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from sr.errors import UserError
from sr.io.atomic import write_text
from sr.runs.status import PLAN, UNFINISHED, counts, find_cells

log = logging.getLogger(__name__)

_FAILURES = ".failures"  # one line per failed run, from all processes
_SOME_FAILED, _BAD_INPUT = 1, 2  # exit codes


class Summary(Callback):
    """Hydra callback: writes the plan of a sweep at its start, and logs the status of its cells at the end."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the plan, which tells `sr status` the pending cells; a search has no plan.

        Exits with code 2 if the direction of a search would optimize for the worst score.
        """
        if not _is_grid(config):
            direction, expected = config.hydra.sweeper.get("direction"), f"{config.mode}imize"
            if not config.objectives and isinstance(direction, str) and direction != expected:
                log.error(
                    "error: hydra.sweeper.direction=%s contradicts mode=%s: change one of them", direction, config.mode
                )
                sys.exit(_BAD_INPUT)
            return
        folder = Path(config.hydra.sweep.dir)
        overrides = [f"{name}={value}" for name, value in (config.hydra.sweeper.get("params") or {}).items()]
        cells = planned([*overrides, *config.hydra.overrides.task])
        pattern = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"]  # type: ignore[index, call-overload]
        names = folder_names(cells, pattern, config.hydra.runtime.choices)
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
    parsed: list[Override] = OverridesParser.create().parse_overrides(overrides=list(overrides))
    for override in parsed:
        key = override.get_key_element()
        if override.is_sweep_override():
            values_by_key[key] = [str(value) for value in override.sweep_string_iterator()]
        else:
            values_by_key[key] = [override.get_value_element_as_str()]
    return [dict(zip(values_by_key, cell, strict=True)) for cell in itertools.product(*values_by_key.values())]


def folder_names(cells: Sequence[Mapping[str, str]], pattern: str, choices: Mapping[str, str]) -> list[str]:
    """Folder names of the cells by ``hydra.sweep.subdir``; empty if it depends on more than choices and job numbers.

    >>> folder_names([{"model": "a"}, {"model": "b"}], "${hydra:runtime.choices.model}_${hydra:job.num}", {})
    ['a_0', 'b_1']
    """
    names = []
    for number, cell in enumerate(cells):
        cell_choices = {**choices, **cell}
        name = re.sub(r"\$\{hydra:runtime\.choices\.(\w+)\}", lambda match: str(cell_choices.get(match[1])), pattern)  # noqa: B023
        names.append(name.replace("${hydra:job.num}", str(number)))
    return [name for name in names if "${" not in name]
