"""``sr report``: compare the runs below a folder."""

import argparse
import sys
from pathlib import Path

HELP = "compare runs: which is best, by how much, and whether the difference is significant"
EXAMPLE = "sr report runs/sweep"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder and ``--figures``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of a sweep, of several, or of one run")
    parser.add_argument("--figures", type=Path, metavar="OUT", help="also write the plots to OUT, as SVG files")


def run(options: argparse.Namespace) -> None:
    """Write the report, print what it compares, and exit with code 1 if a run cannot be read."""
    from sr.report.page import FILES, write_report

    report = write_report(options.folder, options.figures)
    for comparison in report.comparisons:
        count = len(comparison.runs)
        sys.stdout.write(f"{count} run{'s' if count > 1 else ''} on {comparison.title}\n")
    if len(report.comparisons) > 1:
        sys.stdout.write("different images or protocols are never mixed: each has a table of its own\n")
    if report.unfinished:
        sys.stdout.write(f"not done: {len(report.unfinished)}, named in the report; sr status says more\n")
    sys.stdout.write("".join(f"{options.folder / name}\n" for name in FILES))
    for problem in report.problems:
        sys.stderr.write(f"error: {problem}\n")
    if report.problems:
        sys.exit(1)
