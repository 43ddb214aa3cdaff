"""``sr evaluate``: score models, and always bicubic, on folders of images."""

import argparse
import sys
from pathlib import Path

from sr.errors import UserError

HELP = "score models, and always bicubic, on folders of images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="checkpoint, run folder, or name of sr models")
    parser.add_argument("--data", type=Path, action="append", required=True, metavar="DIR", help="may be repeated")
    parser.add_argument("--scale", type=int, required=True, help="factor of the sides")
    parser.add_argument("--protocol", default="y", help="y (default): luma, border cut; rgb: all channels, none cut")
    parser.add_argument("--baselines", action="store_true", help="nearest and Lanczos beside bicubic; needs no model")
    parser.add_argument("--x8", action="store_true", help="average over the eight flips and turns of the input")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table, and FILE_images.csv")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table with the images' scores")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the images as DIR/MODEL/DATA/NAME.png")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr.benchmark.evaluate import BASELINE, BASELINES, evaluate, render, write_rows
    from sr.weights.find import find_model

    if not options.models and not options.baselines:
        raise UserError("name a checkpoint or a run folder, or add --baselines")
    models = [find_model(name, options.scale) for name in options.models]
    rows = [
        *evaluate(
            models,
            options.data,
            scale=options.scale,
            protocol=options.protocol,
            ensemble=options.x8,
            save=options.save,
            baselines=BASELINES if options.baselines else (BASELINE,),
        )
    ]
    sys.stdout.write(render(rows))
    for path in write_rows(rows, options.csv, options.json):
        sys.stdout.write(f"{path}\n")
