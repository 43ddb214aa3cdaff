"""``sr check-data``: find problems in folders of images, and mend misaligned pairs."""

import argparse
import sys
from pathlib import Path

from sr.commands.arguments import FOLDER, add_folder_options, folder_options
from sr.errors import UserError

HELP = "find problems in folders of images, say how to fix them, and mend misaligned pairs"
EXAMPLE = "sr check-data photos/ --scale 2"

_SOME_LEFT_OUT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folders, how to read them, ``--json`` and ``--repair``."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help=FOLDER)
    parser.add_argument(
        "--scale", type=int, metavar="S", help="upscaling factor of the pairs (default: that of most pairs in a folder)"
    )
    add_folder_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all findings to FILE")
    parser.add_argument(
        "--repair",
        type=Path,
        metavar="OUT",
        help="instead write the pairs of DIR to a new folder, misaligned ones shifted and cropped",
    )


def run(options: argparse.Namespace) -> None:
    """Print the findings; exit with the code of the report if anything is wrong. Or mend pairs."""
    if options.repair:
        return _repair(options)
    from sr.data.check import check
    from sr.data.findings import render, write_json

    report = check(options.folders, folder_options(options, options.folders, options.scale))
    sys.stdout.write(render(report))
    if options.json:
        write_json(report, options.json)
        sys.stdout.write(f"{options.json}\n")
    if report.exit_code:
        sys.exit(report.exit_code)
    return None


def _repair(options: argparse.Namespace) -> None:
    from sr.data.repair.folder import repair

    if len(options.folders) > 1:
        raise UserError(
            f"--repair {options.repair}: holds the pairs of one folder, and {len(options.folders)} are named"
        )
    if options.json:
        raise UserError("--json lists findings, and --repair makes none: check the new folder afterwards")
    settings = folder_options(options, options.folders, options.scale)
    if not repair(options.folders[0], options.repair, settings, _say):
        sys.exit(_SOME_LEFT_OUT)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
