"""The command ``sr``: select a subcommand and run it."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, NoReturn

from sr.commands import (
    check_data,
    decide,
    degrade,
    demo,
    evaluate,
    export,
    models,
    predict,
    report,
    runs,
    schema,
    search,
    selftest,
    speed,
    status,
)
from sr.commands.arguments import trust_named
from sr.commands.completion import choices_of_groups, complete
from sr.errors import UserError, close_names, did_you_mean
from sr.machine.garbage import search_rarely
from sr.version import __version__

_BAD_INPUT = 2
_BROKEN_PIPE = 128 + 13  # as if ended by SIGPIPE
_INTERRUPTED = 128 + 2  # as if ended by SIGINT
_EPILOG = """Example: sr predict photo.jpg -m espcn_x2 -o big.png
Completion with TAB: eval "$(register-python-argcomplete sr)" in ~/.bashrc or, after compinit, in ~/.zshrc;
in fish: register-python-argcomplete --shell fish sr | source"""

_COMMANDS = (
    *(runs, status, report, decide, evaluate, speed, predict, demo, export, models, selftest, check_data, degrade),
    *(schema, search),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; for bad input, print one line and exit with code 2.

    Args:
        arguments: what follows ``sr`` on the command line; that of this process by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["train"]:  # Hydra parses its own arguments
        return _train(words[1:])
    parser = make_parser()
    if "_ARGCOMPLETE" in os.environ:  # set by the shell's completion, which ends here
        import argcomplete

        argcomplete.autocomplete(parser)
    if not words:
        parser.print_help()
        return None
    options = parser.parse_args(words)
    run: Callable[[argparse.Namespace], None] = options.run
    search_rarely()
    try:
        trust_named(options)
        run(options)
        sys.stdout.flush()
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(_BAD_INPUT)
    except ModuleNotFoundError as error:
        if error.name != "torch":  # the only package that some of `sr` does without
            raise
        sys.stderr.write(
            "error: torch is not installed, and only networks that sr export wrote as ONNX run without it: "
            "pip install torch\n"
        )
        sys.exit(_BAD_INPUT)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # what reads the output, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BROKEN_PIPE)
    return None


class _OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of ``sr`` are, without the usage before it.

    It names unknown commands and options before it misses others, and suggests what was meant.
    """

    def __init__(self, **settings: Any) -> None:
        """Take the settings of `argparse.ArgumentParser`."""
        self._commands: Mapping[str, Any] = {}
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def add_subparsers(self, **settings: Any) -> Any:
        """Add subcommands, and remember their names."""
        commands = super().add_subparsers(**settings)
        self._commands = commands.choices
        return commands

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, once every command and option is known."""
        words = list(args or [])
        if self._commands and words and not words[0].startswith("-") and words[0] not in self._commands:
            similar = close_names(words[0], self._commands)
            hint = did_you_mean(similar) if similar else f": choose from {', '.join(self._commands)}"
            self.error(f"{words[0]}: no such command{hint}")
        own = takewhile(lambda word: word != "--" and not (self._commands and not word.startswith("-")), words)
        options = list(self._option_string_actions)
        for name in (word.partition("=")[0] for word in own if word.startswith("--")):
            if not any(option.startswith(name) for option in options):
                self.error(f"{name}: no such option{did_you_mean(close_names(name, options))}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2 after one line."""
        self.exit(_BAD_INPUT, f"error: {message} (see {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """Build the parser of all subcommands."""
    parser = _OneLineParser(
        prog="sr", description="Compare super-resolution models and use the best one.", epilog=_EPILOG
    )
    parser.add_argument("--version", action="version", version=f"sr {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser("train", help="train one model or many: the same as python -m sr.train", add_help=False)
    complete(train.add_argument("overrides", nargs="*"), choices_of_groups)
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
