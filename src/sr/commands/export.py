"""``sr export``: write a network as ONNX or safetensors."""

import argparse
import sys
from pathlib import Path

from sr.errors import UserError

HELP = "write a network as ONNX, checked against torch, or as safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", metavar="MODEL", help="checkpoint, run folder, or name of sr models")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="*.onnx or *.safetensors")
    parser.add_argument("--scale", type=int, help="factor of the sides, for a model that has several")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr.weights.find import checkpoints_of
    from sr.weights.onnx import export

    files = checkpoints_of(options.model)
    if len(files) > 1:
        raise UserError(f"{options.model}: has {len(files)} folds: name the checkpoint of one, such as {files[0]}")
    difference = export(files[0], options.output, options.scale)
    checked = f", at most {difference:.1g} from torch" if options.output.suffix == ".onnx" else ""
    sys.stdout.write(f"{options.output}: written{checked}\n")
