"""Many runs at once: what they share, and how they stand; reads run folders only."""

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
from sr.result import NAME, beats_input, is_running, read_result
from sr.writing import aligned, write_text

log = logging.getLogger(__name__)

PLAN = "sweep.json"
_FAILURES = ".failures"  # a line a run that did not end well, whichever process it ran in
_UNFINISHED = ("failed", "diverged", "interrupted", "running")


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        name: its folder.
        status: done, running, interrupted, failed, diverged, pruned, damaged or pending.
        reason: why it is not done, in one line.
        gain: dB over the input, if it is done.
        seconds: time it took, validation and all.
        folds: folds done, and folds in all; (0, 0) without cross-validation.
    """

    name: str
    status: str
    reason: str = ""
    gain: float | None = None
    seconds: float = 0.0
    folds: tuple[int, int] = (0, 0)


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
        unfinished = [cell for cell in cells if cell.status in _UNFINISHED]
        refused = max(0, type(self).failed - len(unfinished))
        log.info("%s: %s%s", folder, _counts(cells), f", {refused} refused, see above" if refused else "")
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


def find_cells(folder: Path) -> list[Cell]:
    """Every run folder directly under a sweep's, by name, then what is planned but has no folder yet.

    Raises:
        UserError: if there is neither.
    """
    cells = [_cell(path.parent) for path in sorted(folder.glob(f"*/{NAME}"))]
    begun = {cell.name for cell in cells}
    pending = [name for name in _planned_names(folder) if name not in begun]
    if not cells and not pending:
        raise UserError(f"{folder}: no runs in it: name the folder of a sweep (hydra.sweep.dir)")
    return [*cells, *(Cell(name, "pending") for name in pending)]


def render(cells: Sequence[Cell]) -> str:
    """The cells as a text table, then how many stand how, and the time left if they go on one after the other."""
    rows = [("cell", "status", "folds", "gain dB", "minutes", "")]
    for cell in cells:
        folds = f"{cell.folds[0]}/{cell.folds[1]}" if cell.folds[1] else ""
        gain = "" if cell.gain is None else f"{cell.gain:+.2f}"
        minutes = f"{cell.seconds / 60:.1f}" if cell.seconds else ""
        note = "loses to its input" if cell.gain is not None and not beats_input(cell.gain) else cell.reason
        rows.append((cell.name, cell.status, folds, gain, minutes, note))
    lines = [*aligned(rows), "", _counts(cells)]
    if left := _seconds_left(cells):
        lines.append(f"about {left / 60:.0f} minutes left, one after the other")
    return "\n".join(lines) + "\n"


def _counts(cells: Sequence[Cell]) -> str:
    counts = Counter(cell.status for cell in cells)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _seconds_left(cells: Sequence[Cell]) -> float:
    """For each cell that is not done the mean time of done ones of its model, or of all, less the folds it has."""
    done: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        if cell.status == "done":
            done[cell.name.partition("_")[0]].append(cell.seconds)
    everything = [seconds for times in done.values() for seconds in times]
    left = 0.0
    for cell in cells:
        if cell.status not in ("done", "pruned") and everything:
            times = done.get(cell.name.partition("_")[0], everything)
            left += statistics.fmean(times) * (1 - cell.folds[0] / cell.folds[1] if cell.folds[1] else 1)
    return left


def _planned_names(folder: Path) -> list[str]:
    try:
        names: list[str] = json.loads((folder / PLAN).read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return []
    return names


def _cell(folder: Path) -> Cell:
    try:
        result = read_result(folder)
        assert result is not None
        return _standing(folder, result)
    except UserError as error:
        return Cell(folder.name, "damaged", str(error))
    except (KeyError, TypeError, AttributeError):  # JSON, but not a result
        return Cell(folder.name, "damaged", f"{folder / NAME}: is no result of a run: retrain=true trains anew there")


def _standing(folder: Path, result: Mapping[str, Any]) -> Cell:
    status, reason = result["status"], result.get("reason", "")
    if status == "running" and not is_running(folder, result):
        status, reason = "interrupted", "its process is gone"
    of = result["config"]["data"].get("folds") if result["config"]["data"].get("fold") == "all" else None
    folds = (sum(_done(folder / f"fold_{fold}") for fold in range(of)), of) if of else (0, 0)
    gain = result["scores"]["val"].get("gain", {}).get("mean") if status == "done" else None
    return Cell(folder.name, status, reason, gain, result.get("seconds", 0.0), folds)


def _done(folder: Path) -> bool:
    try:
        result = read_result(folder)
    except UserError:
        return False
    return bool(result and result["status"] == "done")
