"""Log to the console above a progress bar, with the name of the run if several run in parallel."""

import logging
import sys
from pathlib import Path
from typing import TextIO

from hydra.core.hydra_config import HydraConfig

from sr.machine.processes import in_worker


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

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, prefixed with the name of the run folder in workers of a sweep."""
        line = super().format(record)
        if in_worker() and HydraConfig.initialized():
            return f"{Path(HydraConfig.get().runtime.output_dir).name}: {line}"
        return line
