"""``sr status``: show the progress of a sweep and the time left."""

import argparse
import sys
from pathlib import Path

HELP = "show the progress of a sweep and the time left"
EXAMPLE = "sr status runs/sweep"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the sweep (hydra.sweep.dir)")


def run(options: argparse.Namespace) -> None:
    """Print a line for each run of the sweep."""
    from sr.runs.status import find_cells, render

    sys.stdout.write(render(find_cells(options.folder)))
