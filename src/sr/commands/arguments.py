"""Arguments that several subcommands share."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sr.errors import UserError

if TYPE_CHECKING:
    from sr.data.folders.named import FolderOptions

MODEL = "a name that `sr models` lists, a checkpoint, a run folder, or the folder of a sweep (its best cell)"

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
