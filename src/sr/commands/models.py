"""``sr models``: list the trained networks that ship with sr."""

import argparse
import sys

HELP = "list the trained networks that ship with sr, and their scores"
EXAMPLE = "sr models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no arguments."""


def run(options: argparse.Namespace) -> None:
    """Print a table of the networks and their scores."""
    from sr.weights.zoo import entries, render

    sys.stdout.write(render(entries()))
