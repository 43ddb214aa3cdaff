"""``sr selftest``: compare the bicubic scores of benchmark sets with published ones."""

import argparse
import sys
from pathlib import Path

HELP = "compare the bicubic scores of benchmark sets with published ones"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--data", type=Path, action="append", required=True, metavar="DIR", help="may be repeated")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr.benchmark.selftest import check, render

    checks = [one for folder in options.data for one in check(folder)]
    sys.stdout.write(render(checks))
    if not all(one.agrees for one in checks):
        sys.exit(1)
