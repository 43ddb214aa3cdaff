"""Progress bars of commands: on standard error, so that what a command prints can be piped."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bar(*, hidden: bool = False) -> Progress:
    """A bar with what is done, out of how many, and the time left; it vanishes at the end.

    Nothing is drawn where standard error is neither a terminal nor a notebook, or if it is ``hidden``.
    """
    console = Console(stderr=True)
    can_draw = console.is_jupyter or (sys.stderr.isatty() and not console.is_dumb_terminal)
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
        disable=hidden or not can_draw,
        redirect_stdout=sys.stdout.isatty(),
    )
