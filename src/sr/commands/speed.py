"""``sr speed``: measure how fast models are, side by side."""

import argparse
import sys
from pathlib import Path

from sr.commands.arguments import (
    MODEL,
    add_device,
    add_model_scale,
    add_onnx,
    add_precision,
    add_trust,
    check_hints_are_used,
    onnx_hints,
)
from sr.commands.completion import complete, model_names

HELP = "measure how fast models are: latency, throughput, and NTIRE's score against one of them"
EXAMPLE = "sr speed espcn_x2 vdsr --scale 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the models, where and how they run, and where the numbers go."""
    text = f"{MODEL}, or *.onnx; what is none is skipped"
    complete(parser.add_argument("models", nargs="+", metavar="MODEL", help=text), model_names)
    add_model_scale(parser)
    add_device(parser)
    add_precision(parser, "auto")
    parser.add_argument(
        "--baseline",
        metavar="MODEL",
        help="of NTIRE's score, 0.7 exp(2 t/t0) + 0.15 exp(2 m/m0) + 0.15 exp(2 p/p0) of latency, multiply-adds and "
        "parameters, where less is better and the baseline, first in the table, has 7.39 (default: the first model)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers with all intervals")
    parser.add_argument("--no-record", action="store_true", help="do not write the speed of a run into its result.json")
    add_trust(parser)
    add_onnx(parser)


def run(options: argparse.Namespace) -> None:
    """Print a table, and write it where asked for and into the records of runs that were measured as they trained.

    Exit with code 1 if a run or a checkpoint among several could not be measured.
    """
    from sr.benchmark.named_models import find_models
    from sr.benchmark.speed import compare_speed, record_speeds, render, write_json

    hints = onnx_hints(options)
    models, failures = find_models(options.models, options.scale, hints, needed=options.baseline)
    check_hints_are_used(hints, models)
    for model in models:
        if len(model.nets) > 1:
            sys.stderr.write(f"{model.label}: holds {len(model.nets)} networks, the first is measured\n")
    sys.stderr.write(f"measuring {', '.join(model.label for model in models)}\n")
    rows = compare_speed(models, device=options.device, precision=options.precision)
    sys.stdout.write(render(rows))
    if options.json:
        write_json(options.json, rows)
        sys.stdout.write(f"{options.json}\n")
    if not options.no_record:
        sys.stdout.writelines(f"{line}\n" for line in record_speeds(rows))
    if failures:
        sys.exit(1)
