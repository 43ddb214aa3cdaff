"""``sr report``: which run is best, by how much, and whether the difference is significant."""

import argparse
import sys
from pathlib import Path

HELP = "which run is best, by how much, and whether the difference is significant"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of a sweep, of several, or of one run")
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="write the plots there too, as SVG files")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr.report.page import FILES, write_report

    found = write_report(options.folder, options.figures)
    for comparison in found.comparisons:
        count = len(comparison.runs)
        sys.stdout.write(f"{count} run{'s' if count > 1 else ''} on {comparison.title}\n")
    if len(found.comparisons) > 1:
        sys.stdout.write("different images or protocols are never mixed: each has a table of its own\n")
    if found.unfinished:
        sys.stdout.write(f"not done: {len(found.unfinished)}, named in the report; sr status says more\n")
    sys.stdout.write("".join(f"{options.folder / name}\n" for name in FILES))
    for problem in found.problems:
        sys.stderr.write(f"error: {problem}\n")
    if found.problems:
        sys.exit(1)
