"""Arguments that several subcommands share."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sr.errors import UserError, check_at_least

if TYPE_CHECKING:
    from sr.data.folders.named import FolderOptions
    from sr.weights.model import Model
    from sr.weights.onnx.hints import OnnxHints

MODEL = (
    "a name that `sr models` lists, a checkpoint, a run folder, the folder of a sweep (its best cell), or weights of "
    "others as *.pth, *.pt or *.safetensors"
)

FOLDER = "folder of images, or of a known layout: high_res/ and low_res/, DIV2K, a benchmark set"


def add_model_scale(parser: argparse.ArgumentParser) -> None:
    """Add ``--scale`` for commands that take it from the model unless the model has several."""
    parser.add_argument("--scale", type=int, metavar="S", help="upscaling factor, for a model trained for several")


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust``, a list of packages."""
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="let models be built from the classes of PACKAGE, whose code is run; repeat it for several",
    )


def add_onnx(parser: argparse.ArgumentParser) -> None:
    """Add what can be said of ONNX networks of others."""
    onnx = parser.add_argument_group("an ONNX network that sr did not write; what is not said is found by trying")
    onnx.add_argument("--halo", type=int, metavar="N", help="input pixels around a tile that its output depends on")
    onnx.add_argument("--order", choices=("rgb", "bgr"), help="of its colours")
    onnx.add_argument("--range", type=int, choices=(1, 255), help="value of white in its input")


def onnx_hints(options: argparse.Namespace) -> "OnnxHints":
    """What the options of `add_onnx` say.

    Raises:
        UserError: for a halo below 0.
    """
    from sr.weights.onnx.hints import OnnxHints

    if options.halo is not None:
        check_at_least("--halo", options.halo, 0)
    return OnnxHints(options.halo, options.order, options.range)


def check_hints_are_used(hints: "OnnxHints", models: "Iterable[Model]") -> None:
    """Refuse hints where no model is an ONNX network of others.

    Raises:
        UserError: if they would be ignored.
    """
    given = [name for name, value in vars(hints).items() if value is not None]
    if given and not any(model.is_foreign_onnx for model in models):
        raise UserError(f"--{given[0]}: is for ONNX networks that sr did not write; no model is one")


def trust_named(options: argparse.Namespace) -> None:
    """Trust the packages of ``--trust``, if the command has that option.

    Raises:
        UserError: for a name that no package can have.
    """
    if packages := getattr(options, "trust", []):
        from sr.weights.trust import trust  # imports torch

        trust(packages)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")


def add_tile(parser: argparse.ArgumentParser) -> None:
    """Add ``--tile``: a number, or None for ``auto``."""
    parser.add_argument(
        "--tile", type=_tile, help="input pixels per side of a tile; 0: no tiles; auto (default): by free memory"
    )


def _tile(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be auto or an integer of 0 or more, got {text!r}")
    return int(text)


def add_precision(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--precision``."""
    parser.add_argument(
        "--precision",
        default=default,
        help=f"float32, bfloat16, or auto: the faster one on this machine (default: {default})",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add ``--data``, a list of folders."""
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help=f"{FOLDER}; repeat it for several",
    )


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """Add how to read folders of images: ``--low-res``, ``--low-res-name`` and ``--recursive``."""
    parser.add_argument("--low-res", type=Path, metavar="DIR", help="low resolution (default: by layout, or derived)")
    parser.add_argument(
        "--low-res-name",
        metavar="NAME",
        help="its names, if they are unusual: '{stem}_small', '{stem}x{scale}'",
    )
    parser.add_argument("--recursive", action="store_true", help="read images in subfolders, too")


def folder_options(options: argparse.Namespace, folders: Sequence[Path], scale: int | None) -> "FolderOptions":
    """What the arguments of `add_folder_options` say.

    Raises:
        UserError: for one folder of low resolution and several of high resolution.
    """
    from sr.data.folders.named import FolderOptions  # imports torch

    if options.low_res and len(folders) > 1:
        raise UserError(f"--low-res {options.low_res} belongs to one folder, and {len(folders)} are named")
    return FolderOptions(scale, options.low_res, options.low_res_name, options.recursive)
