"""``sr search``: what a search found."""

import argparse
import sys
from pathlib import Path

HELP = "what a search found: history, importances, slices, every trial"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the search (hydra.sweep.dir)")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr.report.search import FILE, write_search

    standing = write_search(options.folder)
    sys.stdout.write(", ".join(f"{count} {state}" for state, count in standing.counts.items()) + "\n")
    for trial in standing.best:
        values = ", ".join(f"{value:.6g}" for value in trial.values)
        chosen = " ".join(f"{name}={value}" for name, value in trial.params.items())
        sys.stdout.write(f"best: trial {trial.number}, {values}, {chosen}\n")
    sys.stdout.write(f"{options.folder / FILE}\n")
