"""``sr search``: report on a hyper-parameter search."""

import argparse
import sys
from pathlib import Path

HELP = "report on a search: history, importances, slices, all trials"
EXAMPLE = "sr search runs/search"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the search (hydra.sweep.dir)")


def run(options: argparse.Namespace) -> None:
    """Write the page of a search, and print its counts and its best trials."""
    from sr.report.search import FILE, write_search

    standing = write_search(options.folder)
    sys.stdout.write(", ".join(f"{count} {state}" for state, count in standing.counts.items()) + "\n")
    for trial in standing.best:
        values = ", ".join(f"{value:.6g}" for value in trial.values)
        params = " ".join(f"{name}={value}" for name, value in trial.params.items())
        sys.stdout.write(f"best: trial {trial.number}, {values}, {params}\n")
    sys.stdout.write(f"{options.folder / FILE}\n")
