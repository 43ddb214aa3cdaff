"""``sr predict``: enlarge pictures with a trained model."""

import argparse
import sys

HELP = "enlarge pictures: files, folders, or - for the standard streams"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, patterns, or -")
    parser.add_argument("-m", "--model", required=True, help="checkpoint, run folder, *.onnx, or name of sr models")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="a file for one picture, a folder, or -")
    parser.add_argument("--scale", type=int, help="factor of the sides, for a model that has several")
    parser.add_argument("--tile", type=_tile, help="side of what is enlarged at a time: auto (default), N, 0: all")
    parser.add_argument("--x8", action="store_true", help="average over the eight flips and turns: slower, better")
    parser.add_argument("--compare", action="store_true", help="write the bicubic image beside, as NAME_bicubic")
    parser.add_argument("--force", action="store_true", help="write over files that exist")
    parser.add_argument("--max-pixels", type=int, help="refuse larger pictures (default: 200 million pixels)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    parser.add_argument("--precision", default="auto", help="float32, bfloat16, or auto (default): the faster of them")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr import load
    from sr.inference.predict import predict
    from sr.io.images import MAX_PIXELS

    enlarger = load(
        options.model,
        options.scale,
        tile=options.tile,
        ensemble=options.x8,
        device=options.device,
        precision=options.precision,
    )
    failed = predict(
        options.inputs,
        options.output,
        enlarger,
        compare=options.compare,
        force=options.force,
        max_pixels=options.max_pixels or MAX_PIXELS,
    )
    if failed:
        sys.exit(1)


def _tile(text: str) -> int | None:
    return None if text == "auto" else int(text)
