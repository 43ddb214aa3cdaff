"""A sweep as a whole: its plan, written before the first cell, and its summary after the last."""

import itertools
import json
import logging
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from sr.errors import UserError
from sr.runs.result import NAME, beats_input, is_running, read_result
from sr.io.tables import aligned
from sr.io.atomic import write_text
from sr.runs.status import PLAN, UNFINISHED, counts, find_cells


log = logging.getLogger(__name__)
_FAILURES = ".failures"  # a line a run that did not end well, whichever process it ran in


class Summary(Callback):
    """Hydra callback: writes down at the start which cells a sweep has, and says at the end how they stand."""

    failed = 0  # runs of the last sweep that did not end well

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the plan, so that `status` knows what is pending; a search has none.

        Ends the process with exit code 2 if a search is to find the worst by its direction.
        """
        if not _is_grid(config):
            direction, best_is = config.hydra.sweeper.get("direction"), f"{config.mode}imize"
            if not config.objectives and isinstance(direction, str) and direction != best_is:
                log.error("error: hydra.sweeper.direction=%s, but mode=%s: one of them", direction, config.mode)
                sys.exit(2)
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
        """Name what did not end well; the same command tries it again. A search says so itself."""
        if not _is_grid(config):
            return
        folder = Path(config.hydra.sweep.dir)
        failures = folder / _FAILURES
        type(self).failed = len(failures.read_text(encoding="utf-8").splitlines()) if failures.is_file() else 0
        failures.unlink(missing_ok=True)
        try:
            cells = find_cells(folder)
        except UserError:  # not one run came as far as a folder; each has said why
            return
        unfinished = [cell for cell in cells if cell.status in UNFINISHED]
        refused = max(0, type(self).failed - len(unfinished))
        log.info("%s: %s%s", folder, counts(cells), f", {refused} refused, see above" if refused else "")
        for cell in unfinished:
            log.warning("%s %s: %s", cell.name, cell.status, cell.reason)
        type(self).failed = max(type(self).failed, len(unfinished))


def _is_grid(config: DictConfig) -> bool:
    return str(config.hydra.sweeper._target_).endswith(".BasicSweeper")


def note_failure() -> None:
    """Count the running job of a sweep as one that did not end well."""
    hydra = HydraConfig.get()
    with Path(hydra.sweep.dir, _FAILURES).open("a", encoding="utf-8") as file:
        file.write(f"{hydra.job.num}\n")


def planned(overrides: Sequence[str]) -> list[dict[str, str]]:
    """The cells of a sweep: the product of its lists, later overrides of one option replacing earlier ones.

    >>> planned(["model=a,b", "seed=1", "model=a,c"])
    [{'model': 'a', 'seed': '1'}, {'model': 'c', 'seed': '1'}]
    """
    lists: dict[str, list[str]] = {}
    parsed: list[Override] = OverridesParser.create().parse_overrides(overrides=list(overrides))
    for override in parsed:
        key = override.get_key_element()
        if override.is_sweep_override():
            lists[key] = [str(value) for value in override.sweep_string_iterator()]
        else:
            lists[key] = [override.get_value_element_as_str()]
    return [dict(zip(lists, choice, strict=True)) for choice in itertools.product(*lists.values())]


def folder_names(cells: Sequence[Mapping[str, str]], pattern: str, choices: Mapping[str, str]) -> list[str]:
    """Folders of the cells by ``hydra.sweep.subdir``, as far as it is made of choices and the job's number.

    >>> folder_names([{"model": "a"}, {"model": "b"}], "${hydra:runtime.choices.model}_${hydra:job.num}", {})
    ['a_0', 'b_1']
    """
    names = []
    for number, cell in enumerate(cells):
        chosen = {**choices, **cell}
        name = re.sub(r"\$\{hydra:runtime\.choices\.(\w+)\}", lambda found: str(chosen.get(found[1])), pattern)  # noqa: B023
        names.append(name.replace("${hydra:job.num}", str(number)))
    return [name for name in names if "${" not in name]
