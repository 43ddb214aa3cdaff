"""``sr selftest``: compare the bicubic scores of benchmark sets with published ones."""

import argparse
import sys

from sr.commands.arguments import add_data

HELP = "compare the bicubic scores of benchmark sets with published ones"
EXAMPLE = "sr selftest --data Set5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--data``."""
    add_data(parser)


def run(options: argparse.Namespace) -> None:
    """Print the scores beside the published ones; exit with code 1 if any differs."""
    from sr.benchmark.selftest import check, render

    checks = [row for folder in options.data for row in check(folder)]
    sys.stdout.write(render(checks))
    if not all(row.agrees for row in checks):
        sys.exit(1)
