"""``sr report``: compare the runs below some folders."""

import argparse
import sys
from pathlib import Path

HELP = "compare configurations: which is best, by how much, and what can be believed of it"
EXAMPLE = "sr report runs/grid"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folders, what to decide by, and where to write."""
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folder of a sweep, of several, or of one run"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="folder for the report (default: DIR, or what holds all DIRs)"
    )
    parser.add_argument(
        "--reference", metavar="NAME", help="configuration or baseline to compare with (default: strongest baseline)"
    )
    parser.add_argument("--score", default="psnr", metavar="METRIC", help="what to decide by (default: psnr)")
    parser.add_argument(
        "--rope",
        type=float,
        metavar="X",
        help="differences up to X do not matter (default: that of the metric: 0.05 dB of PSNR, 0.001 of SSIM)",
    )
    parser.add_argument("--figures", type=Path, metavar="DIR", help="also write the plots to DIR, as SVG files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every number of the page to FILE")
    parser.add_argument("--latex", type=Path, metavar="DIR", help="also write tables and crops for a paper to DIR")


def run(options: argparse.Namespace) -> None:
    """Write the report, print its verdicts, and exit with code 1 if a run cannot be read."""
    from sr.errors import UserError
    from sr.report.page import write_report
    from sr.report.sections import Settings
    from sr.report.terminal import in_terminal

    if options.rope is not None and not options.rope >= 0:
        raise UserError(f"--rope must be 0 or more, got {options.rope}")
    settings = Settings(options.score, options.rope, options.reference)
    report = write_report(
        options.folders,
        options.output,
        settings=settings,
        figure_folder=options.figures,
        json_file=options.json,
        latex_folder=options.latex,
    )
    boards = [*report.sections, *(board for entry in report.benchmarks for board in entry.boards)]
    sys.stdout.write("\n".join(in_terminal(board) for board in boards))
    if len(report.sections) > 1:
        sys.stdout.write("\nDifferent images or protocols are never mixed: each has a table of its own.\n")
    contents = report.contents
    if contents.unfinished:
        sys.stdout.write(f"\nnot done: {len(contents.unfinished)}, named in the report; sr status says more\n")
    sys.stdout.write("\n" + "".join(f"{path}\n" for path in report.files))
    for repeat in contents.repeats:
        sys.stderr.write(f"{repeat}\n")
    for problem in contents.problems:
        sys.stderr.write(f"error: {problem}\n")
    if contents.problems:
        sys.exit(1)
