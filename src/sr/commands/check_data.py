"""``sr check-data``: find problems in folders of images."""

import argparse
import sys
from pathlib import Path

from sr.commands.arguments import FOLDER, add_folder_options, folder_options

HELP = "find problems in folders of images, and say how to fix them"
EXAMPLE = "sr check-data photos/ --scale 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folders, how to read them, and ``--json``."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help=FOLDER)
    parser.add_argument(
        "--scale", type=int, metavar="S", help="upscaling factor of the pairs (default: that of most pairs in a folder)"
    )
    add_folder_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all findings to FILE")


def run(options: argparse.Namespace) -> None:
    """Print the findings; exit with the code of the report if anything is wrong."""
    from sr.data.check import check
    from sr.data.findings import render, write_json

    report = check(options.folders, folder_options(options, options.folders, options.scale))
    sys.stdout.write(render(report))
    if options.json:
        write_json(report, options.json)
        sys.stdout.write(f"{options.json}\n")
    if report.exit_code:
        sys.exit(report.exit_code)
