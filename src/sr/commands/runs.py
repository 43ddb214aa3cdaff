"""``sr runs``: list runs, sweeps and searches with their status, score, age and size."""

import argparse
import sys
from pathlib import Path

HELP = "list runs, sweeps and searches with their status, score, age and size"
EXAMPLE = "sr runs --all --json runs.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder, and what is listed where."""
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (default: runs)"
    )
    parser.add_argument("--all", action="store_true", help="list the cells of sweeps and the trials of searches too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the list to a JSON file too")


def run(options: argparse.Namespace) -> None:
    """Print a line for each run, sweep or search, those with the newest files first."""
    from sr.io.atomic import reporting_unwritable, write_text
    from sr.runs.listing import as_json, find_entries, render

    entries = find_entries(options.folder)
    if options.json:
        with reporting_unwritable(options.json):
            options.json.parent.mkdir(parents=True, exist_ok=True)
            write_text(options.json, as_json(entries, with_cells=options.all))
    sys.stdout.write(render(entries, with_cells=options.all))
