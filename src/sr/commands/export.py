"""``sr export``: write a network as ONNX or safetensors."""

import argparse
import sys
from pathlib import Path

from sr.commands.arguments import MODEL, add_model_scale, add_trust
from sr.commands.completion import complete, model_names
from sr.errors import UserError

HELP = "write a network as ONNX, verified against PyTorch, or as safetensors"
EXAMPLE = "sr export runs/espcn_x2 -o espcn_x2.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the output file and ``--scale``."""
    complete(parser.add_argument("model", metavar="MODEL", help=MODEL), model_names)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="*.onnx or *.safetensors")
    add_model_scale(parser)
    add_trust(parser)


def run(options: argparse.Namespace) -> None:
    """Export one checkpoint, and print the file and how far ONNX Runtime's output is from PyTorch's."""
    from sr.runs.best import model_path
    from sr.weights.find import checkpoints_of
    from sr.weights.onnx.exported import ONNX, export

    files = checkpoints_of(model_path(options.model))
    if len(files) > 1:
        raise UserError(f"{options.model}: has {len(files)} trainings: name the checkpoint of one, such as {files[0]}")
    difference = export(files[0], options.output, options.scale)
    verified = f", at most {difference:.1g} from torch" if options.output.suffix == ONNX else ""
    sys.stdout.write(f"{options.output}: written{verified}\n")
