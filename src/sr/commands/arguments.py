"""Arguments that several subcommands share."""

import argparse
from pathlib import Path

MODEL = "a name that `sr models` lists, a checkpoint, a run folder, or the folder of a sweep (its best cell)"


def add_model_scale(parser: argparse.ArgumentParser) -> None:
    """Add ``--scale`` for commands that take it from the model unless the model has several."""
    parser.add_argument("--scale", type=int, metavar="S", help="upscaling factor, for a model trained for several")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add ``--data``, a list of folders."""
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="folder of images, or with high_res/ and optionally low_res/ in it; repeat it for several",
    )
