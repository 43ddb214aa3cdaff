"""How the cells of a parallel sweep stand while it runs: a table in a terminal, otherwise a line for each that ends."""

import atexit
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.live import Live
from rich.table import Table

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.launch.messages import messages_file
from sr.runs.status import Cell, Standing, counts, find_cells, seconds_left

log = logging.getLogger(__name__)

_SECONDS_APART = 1.0  # between two looks at the folder
_MOST_OF_THE_TIME = 0.05  # that looking may take: large sweeps are looked at less often
_REFUSED = "error: "  # how the messages of cells begin that could not start, or failed
_LINES_AROUND = 6  # of the terminal that the table leaves free, its head included
_ENDED = frozenset({Standing.DONE, Standing.FAILED, Standing.DIVERGED, Standing.PRUNED})
_ORDER = (Standing.RUNNING, Standing.DAMAGED, Standing.FAILED, Standing.DIVERGED, Standing.INTERRUPTED, Standing.DONE)


class Watch(Callback):
    """Hydra callback: shows how the cells of a sweep stand if a launcher runs several at once.

    Cells that run one after the other show themselves.
    """

    def __init__(self) -> None:
        """Start without a watcher."""
        self._watcher: _Watcher | None = None

    def __reduce__(self) -> tuple[type["Watch"], tuple[()]]:
        """Leave the watcher behind when a launcher sends the callbacks to other processes."""
        return type(self), ()

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Begin to look at the folder of the sweep."""
        if str(config.hydra.launcher._target_).endswith(".BasicLauncher"):
            return
        # Workers without a job for five minutes end, and joblib suspects a leak.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given to the executor")
        folder = Path(config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        messages = messages_file(folder)
        messages.write_text("", encoding="utf-8")
        if str(config.hydra.sweeper._target_).endswith(".JobsSweeper"):  # of `sr decide`
            look = _looker(folder.parent, _names_of_jobs(Path(config.hydra.sweeper.file), folder.parent))
        else:
            look = _looker(folder)
        is_search = not str(config.hydra.sweeper._target_).endswith(("BasicSweeper", "JobsSweeper"))
        self._watcher = _Watcher(look, messages, prints_lines=not is_search)
        self._watcher.start()
        atexit.register(self._watcher.stop)  # after Ctrl-C

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show the last state, and stop."""
        if self._watcher:
            self._watcher.stop()


def _names_of_jobs(file: Path, folder: Path) -> set[str]:
    """The cells of the jobs that ``hydra/sweeper=jobs`` starts, relative to a folder."""
    parser = OverridesParser.create()
    overrides = [override for job in json.loads(file.read_text(encoding="utf-8")) for override in job]
    paths = [
        str(parser.parse_override(override).value())
        for override in overrides
        if override.startswith("hydra.sweep.subdir=")
    ]
    return {Path(path).relative_to(folder.absolute()).as_posix() for path in paths}


def _looker(folder: Path, names: set[str] | None = None) -> Callable[[], dict[Path, Cell]]:
    """A function that finds the cells of a folder, or those of some names."""

    def look() -> dict[Path, Cell]:
        try:
            cells = find_cells(folder)
        except UserError:  # nothing has begun yet
            return {}
        return {folder / cell.name: cell for cell in cells if names is None or cell.name in names}

    return look


class _Watcher(threading.Thread):
    """Looks at the cells of a sweep from time to time and shows how they stand."""

    def __init__(self, look: Callable[[], dict[Path, Cell]], messages: Path, *, prints_lines: bool) -> None:
        super().__init__(name="sr-watch", daemon=True)
        self._look, self._messages, self._prints_lines = look, messages, prints_lines
        self._is_over = threading.Event()
        self._read = 0
        self._refused: dict[Path, str] = {}
        self._seen = {path: _stamp(path, cell) for path, cell in look().items()}
        console = Console()
        self._live: Live | None = None
        if sys.stdout.isatty() and not console.is_dumb_terminal:
            self._live = Live(console=console, auto_refresh=False, redirect_stderr=sys.stderr.isatty())

    def run(self) -> None:
        """Look until the sweep is over."""
        if self._live:
            self._live.start()
        pause = _SECONDS_APART
        while not self._is_over.wait(pause):
            begun = time.monotonic()
            self._show()
            pause = max(_SECONDS_APART, (time.monotonic() - begun) / _MOST_OF_THE_TIME)

    def stop(self) -> None:
        """Show the last state; a second call does nothing."""
        if self._is_over.is_set():
            return
        self._is_over.set()
        self.join()
        self._show(is_last=True)
        if self._live:
            self._live.stop()
        self._messages.unlink(missing_ok=True)

    def _show(self, *, is_last: bool = False) -> None:
        cells = self._look()
        pending = {path.name: path for path, cell in cells.items() if cell.status is Standing.PENDING}
        for name, text in self._new_messages():
            if name in pending and text.startswith(_REFUSED):  # it leaves no folder, and will not be tried again
                self._refused[pending[name]] = text.removeprefix(_REFUSED)
            else:
                log.warning("%s: %s", name, text)
        for path in self._refused.keys() & pending.values():
            cells[path] = replace(cells[path], status=Standing.FAILED, reason=self._refused[path])
        if self._live:
            height = None if is_last else self._live.console.height - _LINES_AROUND
            self._live.update(table(list(cells.values()), height), refresh=True)
            return
        for path, cell in cells.items():
            stamp = _stamp(path, cell)
            if self._prints_lines and cell.status in _ENDED and self._seen.get(path) != stamp:
                log.info("%s", line_of_end(cell, list(cells.values())))
            self._seen[path] = stamp

    def _new_messages(self) -> list[tuple[str, str]]:
        """What cells have said since the last look: their names and lines."""
        try:
            with self._messages.open("rb") as file:
                file.seek(self._read)
                content = file.read()
        except OSError:  # the folder was deleted
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        parts = [line.partition(": ") for line in whole.decode("utf-8", "replace").splitlines()]
        return [(name, text) for name, _, text in parts]


def _stamp(path: Path, cell: Cell) -> tuple[Standing, int]:
    """What changes when a cell is trained."""
    try:
        return cell.status, RunFolder(path).result.stat().st_mtime_ns
    except OSError:
        return cell.status, 0


def table(cells: Sequence[Cell], height: int | None = None) -> Table:
    """The cells as a table with a line that sums them up.

    Args:
        cells: of the sweep, in order.
        height: most rows; if there are more cells, those that run or failed come first. None shows all.
    """
    shown = list(cells)
    if height is not None and len(cells) > height:
        shown = sorted(cells, key=lambda cell: _ORDER.index(cell.status) if cell.status in _ORDER else len(_ORDER))
        shown = shown[: max(1, height - 1)]
    grid = Table(box=None, pad_edge=False, caption=_summary(cells), caption_justify="left", caption_style="")
    for name in ("cell", "status", "epochs", "val/psnr dB", "gain dB", "time", ""):
        right = name in ("epochs", "val/psnr dB", "gain dB", "time")
        grid.add_column(name, justify="right" if right else "left", no_wrap=name != "")
    for cell in shown:
        grid.add_row(*(_row(cell)))
    if len(shown) < len(cells):
        grid.add_row(f"... and {len(cells) - len(shown)} more")
    return grid


def _row(cell: Cell) -> list[str]:
    done, total = cell.epochs
    return [
        cell.name,
        cell.status,
        f"{done}/{total}" if total else "",
        "" if cell.psnr is None else f"{cell.psnr:.2f}",
        "" if cell.gain is None else f"{cell.gain:+.2f}",
        _duration(cell.seconds) if cell.seconds else "",
        f"loses to {cell.loses_to}" if cell.loses_to else cell.reason,
    ]


def line_of_end(cell: Cell, cells: Sequence[Cell]) -> str:
    """A cell that has ended, and how the sweep stands then."""
    words = [f"{cell.name} {cell.status}"]
    words += [f"val/psnr {cell.psnr:.2f} dB"] if cell.psnr is not None else []
    words += [f"gain {cell.gain:+.2f}"] if cell.gain is not None else []
    words += [f"loses to {cell.loses_to}"] if cell.loses_to else []
    words += [cell.reason] if cell.reason else []
    words += [_duration(cell.seconds)] if cell.seconds else []
    return f"{', '.join(words)}  ({_summary(cells)})"


def _summary(cells: Sequence[Cell]) -> str:
    """How many cells there are of each status, and the time left for as many at once as are running."""
    at_once = max(1, sum(cell.status is Standing.RUNNING for cell in cells))
    to_come = [cell for cell in cells if cell.status is Standing.DONE or cell.status not in _ENDED]
    seconds = seconds_left(to_come) / at_once
    return counts(cells) + (f"; about {_duration(seconds)} left" if seconds else "")


def _duration(seconds: float) -> str:
    """Seconds in a unit that fits.

    >>> _duration(42.4), _duration(600), _duration(7260)
    ('42 s', '10 min', '2 h 1 min')
    """
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
