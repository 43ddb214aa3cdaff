"""The command ``sr``: finds the subcommand and runs it."""

import argparse
import sys
from collections.abc import Callable, Sequence

from sr.commands import check_data, demo, evaluate, export, models, predict, report, search, selftest, status
from sr.errors import UserError

_BAD_INPUT = 2

_COMMANDS = (status, report, evaluate, predict, demo, export, models, selftest, check_data, search)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; exits with code 2 and one line for bad input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["train"]:  # Hydra reads its own arguments
        return _train(words[1:])
    options = _parser().parse_args(words)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(_BAD_INPUT)
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sr", description="Compare super-resolution models and use the winner.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("train", help="train one model or many: the same as python -m sr.train", add_help=False)
    for module in _COMMANDS:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        subparser = commands.add_parser(name, help=module.HELP)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _train(words: list[str]) -> None:
    from sr import train

    sys.argv = [train.__file__, *words]  # trainer=ddp starts this file again for its other processes
    train.main()
