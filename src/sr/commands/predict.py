"""``sr predict``: enlarge pictures and videos with a trained model."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sr.commands.arguments import (
    MODEL,
    add_device,
    add_model_scale,
    add_onnx,
    add_precision,
    add_tile,
    add_trust,
    check_hints_are_used,
    onnx_hints,
)
from sr.commands.completion import complete, model_names
from sr.errors import check_at_least, check_choice
from sr.terms import PRECISIONS

if TYPE_CHECKING:  # slow to import
    from sr.inference.pictures import PictureEnlarger
    from sr.weights.onnx.hints import OnnxHints

_DEVICES = ("cpu", "cuda", "mps", "xpu")

HELP = "enlarge or, at scale 1, sharpen pictures and videos: files, folders, or standard input"
EXAMPLE = "sr predict photo.jpg -m espcn_x2 -o big.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the inputs, the model, the output, and how to enlarge."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, glob patterns, or - for stdin")
    complete(parser.add_argument("-m", "--model", required=True, help=f"{MODEL}, or *.onnx"), model_names)
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="a folder, a file for a single picture, or - for stdout"
    )
    add_model_scale(parser)
    add_tile(parser)
    parser.add_argument("--x8", action="store_true", help="average over eight flips and rotations: slower, better")
    parser.add_argument(
        "--wrap", action="store_true", help="for textures: the picture goes on at its opposite edge, so no seam appears"
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="also write the bicubic image, as NAME_bicubic, at scale 1 the input, as NAME_input",
    )
    _add_batch(parser)
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument(
        "--max-pixels", type=int, metavar="N", help="refuse pictures of more pixels (default: 200 million)"
    )
    add_device(parser)
    add_precision(parser, "auto")
    add_trust(parser)
    parser.add_argument(
        "--provider", metavar="NAME", help="what runs an ONNX network: cpu (default), cuda, openvino, ..."
    )
    add_onnx(parser)
    video = parser.add_argument_group("videos")
    video.add_argument("--codec", metavar="NAME", help="h264, h265, vp9, av1, prores, ... (default: by OUT)")
    video.add_argument("--crf", type=int, metavar="N", help="quality of the codec: lower is better and larger")
    video.add_argument("--pix-fmt", metavar="NAME", help="yuv420p, yuv444p, yuv420p10le, ... (default: yuv420p)")


def _add_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", metavar="EXT", help="write pictures as png, jpg, webp, tif, avif or bmp")
    parser.add_argument(
        "--quality", type=int, metavar="Q", help="of JPEG, WebP and AVIF, 1 to 100 (default: 95, AVIF 90)"
    )
    parser.add_argument("--suffix", default="", metavar="TEXT", help="added to the names in a folder: _x2")
    parser.add_argument(
        "--frames",
        choices=("first", "all"),
        default="first",
        help="of animated GIF, WebP and PNG; all: an animation, or a clip if OUT is one (default: first)",
    )
    parser.add_argument("--recursive", action="store_true", help="read subfolders, too, and keep their tree")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="skip what an earlier run with this model and these options has written; continue interrupted videos",
    )
    parser.add_argument("--watch", action="store_true", help="follow folders until Ctrl-C")


def run(options: argparse.Namespace) -> None:
    """Enlarge the inputs; exit with code 1 if any of them failed."""
    from sr.inference.inputs import Naming
    from sr.inference.predict import Settings, predict
    from sr.io.images import MAX_PIXELS

    file_format = f".{options.format.lower().lstrip('.')}" if options.format else ""
    naming = Naming(options.suffix, file_format, options.frames == "all")
    max_pixels = MAX_PIXELS if options.max_pixels is None else options.max_pixels
    check_at_least("--max-pixels", max_pixels, 1)
    enlarger = _enlarger(options)
    video = None
    if options.codec or options.pix_fmt or options.crf is not None:
        from sr.inference.video.encoding import VideoOptions

        video = VideoOptions(options.codec, options.crf, options.pix_fmt)
    settings = Settings(
        compare=options.compare,
        force=options.force,
        resume=options.resume,
        recursive=options.recursive,
        watch=options.watch,
        max_pixels=max_pixels,
        quality=options.quality,
        naming=naming,
        video=video,
    )
    failures = predict(options.inputs, options.output, enlarger, settings)
    if failures:
        sys.exit(1)


def _enlarger(options: argparse.Namespace) -> "PictureEnlarger":
    """What the model, and the options of how to run it, make; without torch, for a network that `sr export` wrote."""
    from sr.runs.best import model_path
    from sr.weights.onnx.session import is_exported

    name, hints = model_path(options.model), onnx_hints(options)
    check_choice("--precision", options.precision, PRECISIONS)
    if Path(name).suffix.lower() == ".onnx" and Path(name).is_file() and is_exported(Path(name)):
        return _array_enlarger(options, Path(name), hints)
    from sr.inference.enlarger import Enlarger
    from sr.weights.find import find_model

    model = find_model(name, options.scale, hints, provider=options.provider)
    check_hints_are_used(hints, [model])
    return Enlarger(
        model,
        tile=options.tile,
        ensemble=options.x8,
        wrap=options.wrap,
        device=options.device,
        precision=options.precision,
    )


def _array_enlarger(options: argparse.Namespace, path: Path, hints: "OnnxHints") -> "PictureEnlarger":
    from sr.inference.array_enlarger import ArrayEnlarger
    from sr.inference.pictures import warn_of_onnx
    from sr.weights.onnx.network import ExportedNetwork, exported_model
    from sr.weights.onnx.providers import CPU

    model = exported_model(path, ExportedNetwork(path, options.provider or CPU), options.scale)
    check_hints_are_used(hints, [model])
    device = (options.device or "cpu").partition(":")[0]
    check_choice("--device", device, _DEVICES)
    warn_of_onnx(model, device, options.precision)
    return ArrayEnlarger(model, tile=options.tile, ensemble=options.x8, wrap=options.wrap)
