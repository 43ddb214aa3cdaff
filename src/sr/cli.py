"""The command ``sr``: select a subcommand and run it."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from sr.commands import (
    check_data,
    decide,
    demo,
    evaluate,
    export,
    models,
    predict,
    report,
    runs,
    search,
    selftest,
    speed,
    status,
)
from sr.commands.arguments import trust_named
from sr.errors import UserError

_BAD_INPUT = 2

_COMMANDS = (runs, status, report, decide, evaluate, speed, predict, demo, export, models, selftest, check_data, search)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; for bad input, print one line and exit with code 2.

    Args:
        arguments: what follows ``sr`` on the command line; that of this process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["train"]:  # Hydra parses its own arguments
        return _train(words[1:])
    options = make_parser().parse_args(words)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        trust_named(options)
        run(options)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(_BAD_INPUT)
    return None


class _OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of ``sr`` are, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(_BAD_INPUT, f"error: {message} (see {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """Build the parser of all subcommands."""
    parser = _OneLineParser(prog="sr", description="Compare super-resolution models and use the best one.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("train", help="train one model or many: the same as python -m sr.train", add_help=False)
    for module in _COMMANDS:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        description = f"{module.HELP[0].upper()}{module.HELP[1:]}."
        subparser = commands.add_parser(
            name, help=module.HELP, description=description, epilog=f"Example: {module.EXAMPLE}"
        )
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _train(words: list[str]) -> None:
    from sr import train

    sys.argv = [train.__file__, *words]  # trainer=ddp starts this file again for its other processes
    train.main()
