"""``sr export``: write a network as ONNX or safetensors."""

import argparse
import sys
from pathlib import Path

from sr.commands.arguments import MODEL, add_model_scale, add_trust
from sr.commands.completion import complete, model_names
from sr.errors import UserError, check_choice

HELP = "write a network as ONNX, verified against PyTorch, or as safetensors"
EXAMPLE = "sr export runs/espcn_x2 -o espcn_x2.onnx"

_FLOAT32 = "float32"
_PRECISIONS = (_FLOAT32, "float16", "int8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the output file, ``--scale``, and the precision."""
    complete(parser.add_argument("model", metavar="MODEL", help=MODEL), model_names)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="*.onnx or *.safetensors")
    add_model_scale(parser)
    parser.add_argument(
        "--precision", default=_FLOAT32, help=f"{', '.join(_PRECISIONS)}: of ONNX files (default: {_FLOAT32})"
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="sharp images, on which float16 and int8 are measured, and int8 is calibrated",
    )
    parser.add_argument(
        "--card", action="store_true", help="make FILE a folder for a model hub: a card, config.json, model.safetensors"
    )
    add_trust(parser)


def run(options: argparse.Namespace) -> None:
    """Export one checkpoint; print the file and how far its output is from PyTorch's, or what its precision costs."""
    from sr.runs.best import model_path
    from sr.weights.find import checkpoints_of
    from sr.weights.onnx.exported import ONNX, export

    check_choice("--precision", options.precision, _PRECISIONS)
    files = checkpoints_of(model_path(options.model))
    if len(files) > 1:
        raise UserError(f"{options.model}: has {len(files)} trainings: name the checkpoint of one, such as {files[0]}")
    if options.card:
        from sr.card import write_card

        if options.precision != _FLOAT32 or options.images:
            raise UserError("--card: its weights are float32: leave out --precision and --images")
        missing = write_card(files[0], options.output, options.scale)
        sys.stdout.write("".join(f"{line}\n" for line in [f"{options.output}: written", *missing]))
        return
    if options.precision == _FLOAT32:
        if options.images:
            raise UserError(f"--images {options.images}: is for --precision float16 and int8")
        difference = export(files[0], options.output, options.scale)
        verified = f", at most {difference:.1g} from torch" if options.output.suffix == ONNX else ""
        sys.stdout.write(f"{options.output}: written{verified}\n")
        return
    if options.images is None:
        raise UserError(
            f"--precision {options.precision}: add --images DIR with sharp images, to measure what it costs"
        )
    from sr.inference.low_precision import export_low_precision

    cost = export_low_precision(files[0], options.output, options.scale, options.precision, options.images)
    sys.stdout.write(f"{options.output}: written, {cost}\n")
