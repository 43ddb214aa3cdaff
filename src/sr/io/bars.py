"""Progress bars of commands: on standard error, so that what a command prints can be piped."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bar() -> Progress:
    """A bar with what is done, out of how many, and the time left; it vanishes at the end.

    Nothing is drawn where standard error is no terminal.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(
        *columns,
        console=console,
        transient=True,
        disable=not sys.stderr.isatty() or console.is_dumb_terminal,
        redirect_stdout=sys.stdout.isatty(),
    )
