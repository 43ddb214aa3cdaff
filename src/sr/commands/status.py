"""``sr status``: show the progress of runs and sweeps, and the time left."""

import argparse
import sys
from pathlib import Path

HELP = "show the progress of runs and sweeps, and the time left"
EXAMPLE = "sr status runs/sweep"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="folder of a run, of a sweep (hydra.sweep.dir), or of several"
    )


def run(options: argparse.Namespace) -> None:
    """Print a line for each run."""
    from sr.runs.status import find_cells, render

    sys.stdout.write(render(find_cells(options.folder)))
