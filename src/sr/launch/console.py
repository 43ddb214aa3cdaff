"""Log lines that appear above a progress bar instead of inside it, and say whose they are when cells run at once."""

import logging
import sys
from pathlib import Path
from typing import TextIO

from hydra.core.hydra_config import HydraConfig

from sr.machine.processes import in_worker


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever ``sys.stdout`` is at that moment: rich puts its own there while a bar is drawn."""

    @property
    def stream(self) -> TextIO:
        """The standard output of the moment."""
        return sys.stdout

    @stream.setter
    def stream(self, value: object) -> None:
        """Ignore the stream that `logging` would remember."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, behind the folder of its run if several run at once."""
        line = super().format(record)
        if in_worker() and HydraConfig.initialized():
            return f"{Path(HydraConfig.get().runtime.output_dir).name}: {line}"
        return line
