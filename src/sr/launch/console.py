"""Log to the console above a progress bar, with the name of the run if several run in parallel."""

import logging
import sys
from pathlib import Path
from typing import TextIO

from hydra.core.hydra_config import HydraConfig

from sr.launch.messages import pass_on, watched_by
from sr.machine.processes import in_worker
from sr.runs.status import planned_names


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Writes to the current ``sys.stdout``, which rich replaces while it draws a progress bar."""

    @property
    def stream(self) -> TextIO:
        """The current standard output."""
        return sys.stdout

    @stream.setter
    def stream(self, value: object) -> None:
        """Ignore the stream that `logging` sets."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out the lines of epochs that a progress bar shows; the log file has them."""
        return not getattr(record, "in_bar", False) and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; in a worker of a sweep that is watched, pass on what its state does not say."""
        if path := watched_by():
            pass_on(record, path)
        else:
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, prefixed with the name of the run folder in workers of a sweep."""
        line = super().format(record)
        if in_worker() and HydraConfig.initialized():
            return f"{Path(HydraConfig.get().runtime.output_dir).name}: {line}"
        return line


def heading() -> str:
    """The name of the current job of a sweep, and its number if the sweep has a plan, as in ``espcn_mse (3 of 27)``."""
    hydra = HydraConfig.get()
    name = Path(hydra.runtime.output_dir).name
    names = planned_names(Path(hydra.runtime.cwd, hydra.sweep.dir))
    return f"{name} ({names.index(name) + 1} of {len(names)})" if name in names else name
