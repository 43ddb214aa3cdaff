"""Log lines that appear above a progress bar instead of inside it."""

import logging
import sys
from typing import TextIO


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever ``sys.stdout`` is at that moment: rich puts its own there while a bar is drawn."""

    @property
    def stream(self) -> TextIO:
        """The standard output of the moment."""
        return sys.stdout

    @stream.setter
    def stream(self, value: object) -> None:
        """Ignore the stream that `logging` would remember."""
