"""``sr check-data``: what is wrong with folders of images, and how to fix it."""

import argparse
import sys
from pathlib import Path

HELP = "what is wrong with folders of images, and how to fix it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="plain, or with high_res/ and low_res/")
    parser.add_argument("--scale", type=int, help="factor of the sides (default: what most pairs of a folder have)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all findings")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr.data.check import check, render, write_json

    report = check(options.folders, options.scale)
    sys.stdout.write(render(report))
    if options.json:
        write_json(report, options.json)
        sys.stdout.write(f"{options.json}\n")
    if report.exit_code:
        sys.exit(report.exit_code)
