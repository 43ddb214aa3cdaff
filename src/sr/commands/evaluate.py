"""``sr evaluate``: score models, next to bicubic interpolation, on folders of images."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sr.commands.arguments import (
    MODEL,
    add_data,
    add_device,
    add_folder_options,
    add_onnx,
    add_precision,
    add_tile,
    add_trust,
    check_hints_are_used,
    folder_options,
    onnx_hints,
)
from sr.commands.completion import choices_of_group, complete, model_names
from sr.errors import UserError

if TYPE_CHECKING:
    from sr.benchmark.contenders import Contender
    from sr.data.degrade.base import Degradation
    from sr.data.folders.named import FolderOptions

HELP = "score models, next to bicubic interpolation, on folders of images"
EXAMPLE = "sr evaluate runs/espcn_x3 espcn_x3 --data Set5 --scale 3"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the models, what they are scored on and how, and where the scores go."""
    models = parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help=f"{MODEL}, or *.onnx; of several, what is no model is skipped, and a run that cannot be used ends in exit "
        "code 1",
    )
    complete(models, model_names)
    add_data(parser)
    add_folder_options(parser)
    parser.add_argument("--scale", type=int, metavar="S", help="upscaling factor (default: that of the models)")
    parser.add_argument(
        "--protocol", default="y", help="y (default): luma, S border pixels cut; rgb: all channels, nothing cut"
    )
    parser.add_argument(
        "--metrics",
        type=lambda text: text.split(","),
        default=[],
        metavar="A,B",
        help="more scores than PSNR and SSIM, by their names in conf/metrics: ms_ssim,vif",
    )
    parser.add_argument(
        "--vgg-weights", metavar="FILE", help="of ImageNet's VGG16, for --metrics lpips,dists (default: downloaded)"
    )
    parser.add_argument("--baselines", action="store_true", help="score nearest and Lanczos too; needs no model")
    parser.add_argument("--x8", action="store_true", help="average over the eight flips and rotations of the input")
    add_tile(parser)
    add_device(parser)
    add_precision(parser, "float32")
    parser.add_argument(
        "--bits", type=int, default=8, help="of the images and of the outputs that are scored: 8 (default) or 16"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table, and FILE_images.csv next to it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table with the scores of each image")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the outputs as DIR/MODEL/DATA/NAME.png")
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="keep the scores of what is no run in DIR/NAME, for sr report"
    )
    degradations = parser.add_argument(
        "--degrade",
        metavar="NAMES",
        help="degrade the images by each of these choices of conf/degrade, such as bicubic,blur,jpeg, perhaps with "
        "options, such as jpeg:quality=[20,60], and score them one after the other (default: as in the training of "
        "the models)",
    )
    complete(degradations, choices_of_group("degrade"))
    add_trust(parser)
    add_onnx(parser)
    others = parser.add_argument_group("pictures of another program, scored like the outputs of a model")
    others.add_argument(
        "--outputs", type=Path, metavar="DIR", help="folder of finished pictures, named as the images of the data set"
    )
    others.add_argument("--name", help="of the program, in tables (default: the name of --outputs)")
    others.add_argument(
        "--command",
        metavar="WORDS",
        help="program that makes the pictures that --outputs lacks, from each low-resolution image: "
        "'waifu2x -i {input} -o {output} -s {scale}'",
    )
    others.add_argument("--timeout", type=float, default=600.0, metavar="S", help="of --command (default: 600 seconds)")


def run(options: argparse.Namespace) -> None:
    """Print the table of scores, and write it where asked for and into the run folders that were scored.

    Exit with code 1 if a run or a checkpoint among several could not be scored.
    """
    from sr.benchmark.evaluate import evaluate
    from sr.benchmark.named_metrics import named_metrics
    from sr.benchmark.named_models import common_scale, find_models
    from sr.benchmark.records import check_records
    from sr.benchmark.tables import render, write_rows
    from sr.launch.names import quoted
    from sr.terms import BASELINES, SHARPENS
    from sr.train import config_dir

    if not options.models and not options.baselines and not options.outputs:
        raise UserError("name a checkpoint or a run folder, or add --baselines or --outputs")
    hints = onnx_hints(options)
    models, failures = find_models(options.models, options.scale, hints)
    check_hints_are_used(hints, models)
    scale = common_scale(models) if options.scale is None else options.scale
    if scale == 1:
        sys.stderr.write(f"{SHARPENS}; the baseline is the input\n")
    folders = folder_options(options, options.data, scale)
    contenders = _contenders(options, folders, scale)
    if options.vgg_weights and not {"lpips", "dists"} & set(options.metrics):
        raise UserError("--vgg-weights is for --metrics lpips,dists: leave it out")
    overrides = [f"vgg_weights={quoted(options.vgg_weights)}"] if options.vgg_weights else []
    metrics = named_metrics(options.metrics, config_dir(), overrides)
    if options.record:
        check_records(options.record, models, contenders)
    rows = [
        *evaluate(
            models,
            options.data,
            scale=scale,
            protocol=options.protocol,
            ensemble=options.x8,
            save=options.save,
            baselines=BASELINES if options.baselines else BASELINES[:1],
            tile=options.tile,
            device=options.device,
            precision=options.precision,
            contenders=contenders,
            bits=options.bits,
            options=folders,
            metrics=metrics,
            degradations=_degradations(options.degrade),
        )
    ]
    for line in (line for contender in contenders for line in contender.warnings()):
        sys.stderr.write(f"WARNING: {line}\n")
    sys.stdout.write(render(rows))
    for path in write_rows(rows, options.csv, options.json, options.record):
        sys.stdout.write(f"{path}\n")
    if failures:
        sys.exit(1)


def _degradations(names: str | None) -> "dict[str, Degradation] | None":
    """The degradations of ``--degrade``, by name."""
    from sr.benchmark.named_degradations import named_degradations
    from sr.train import config_dir

    return None if names is None else named_degradations(names, config_dir())


def _contenders(options: argparse.Namespace, folders: "FolderOptions", scale: int) -> "list[Contender]":
    """The finished pictures that the options name; those that are missing are made by ``--command``."""
    from sr.benchmark.contenders import Contender, run_program

    if options.outputs is None:
        if unused := [name for name in ("name", "command") if getattr(options, name)]:
            raise UserError(f"--{unused[0]} needs --outputs DIR, the folder of the pictures")
        return []
    if len(options.data) > 1:
        raise UserError("--outputs are of one data set: name one --data")
    if options.command:
        pictures, data = options.outputs, options.data[0]
        run_program(options.command, pictures, data, scale, options.timeout, options.bits, folders)
    return [Contender(options.name or options.outputs.resolve().name, options.outputs)]
