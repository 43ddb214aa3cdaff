"""``sr status``: how the runs of a sweep stand, and the time left."""

import argparse
import sys
from pathlib import Path

HELP = "how the runs of a sweep stand, and the time left"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the sweep (hydra.sweep.dir)")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr.runs.status import find_cells, render

    sys.stdout.write(render(find_cells(options.folder)))
