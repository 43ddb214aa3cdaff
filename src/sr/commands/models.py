"""``sr models``: the trained networks that ship with sr."""

import argparse
import sys

HELP = "the trained networks that ship with sr, and their scores"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sr.weights.zoo import entries, render

    sys.stdout.write(render(entries()))
