"""``sr degrade``: write degraded copies of images, to look at what a network is trained on."""

import argparse
import sys
from pathlib import Path

from sr.commands.arguments import FOLDER
from sr.commands.completion import choices_of_group, complete
from sr.errors import UserError, check_at_least

HELP = "write degraded copies of images, to look at what a network is trained on"
EXAMPLE = "sr degrade photos/ --degrade photo -o degraded/"

DEGRADE = "choice of conf/degrade, perhaps with options: photo, or jpeg:quality=[20,60]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the images, the degradation, and where the copies go."""
    parser.add_argument("folder", type=Path, metavar="DIR", help=FOLDER)
    named = parser.add_argument("--degrade", required=True, metavar="NAME", help=DEGRADE)
    complete(named, choices_of_group("degrade"))
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder of the copies, as PNG")
    parser.add_argument(
        "--scale", type=int, default=2, metavar="S", help="factor to shrink by (default: 2); 1: keep the size"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=23,
        help="of the random numbers (default: 23, that of sr evaluate, for equal pixels)",
    )
    parser.add_argument("--recursive", action="store_true", help="read images in subfolders, too")


def run(options: argparse.Namespace) -> None:
    """Write the copies that do not exist yet; exit with code 1 if an image cannot be read."""
    from sr.benchmark.named_degradations import named_degradations
    from sr.data.degraded_copies import DegradedCopies
    from sr.data.folders.named import FolderOptions, find_pairing
    from sr.data.pairs import describe_degradation
    from sr.data.sources import one_set
    from sr.io.bars import progress_bar
    from sr.io.paths import shortest_path
    from sr.train import config_dir

    check_at_least("--scale", options.scale, 1)
    check_at_least("--seed", options.seed, 0)
    degradations = named_degradations(options.degrade, config_dir())
    if len(degradations) > 1:
        raise UserError(f"--degrade {options.degrade}: name one degradation, or degrade=chain for several in a row")
    (degradation,) = degradations.values()
    folders = FolderOptions(options.scale, recursive=options.recursive, high_only=True)
    sources = one_set(options.folder, folders)
    if options.recursive and options.output.resolve().is_relative_to(
        find_pairing(options.folder, folders).high.resolve()
    ):
        raise UserError(f"-o {options.output}: is read by --recursive, too: name another folder")
    copies = DegradedCopies(sources, options.output, degradation, scale=options.scale, seed=options.seed)
    made = describe_degradation([], options.scale, (), 2, degradation=degradation)
    for line in (made if options.scale > 1 else f"size kept, by {degradation.key()}", *copies.notes()):
        sys.stderr.write(f"{line}\n")
    with progress_bar() as progress:
        bar = progress.add_task(str(options.degrade), total=len(sources))
        failures = copies.write(lambda source: progress.advance(bar))
    for line in failures:
        sys.stderr.write(f"error: {line}\n")
    sys.stdout.write(f"{shortest_path(options.output)}\n")
    if failures:
        sys.exit(1)
