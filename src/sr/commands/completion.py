"""What the completion of a shell suggests for the words of a command."""

import argparse
from collections.abc import Callable
from typing import Any


def complete(argument: argparse.Action, suggest: Callable[..., list[str]]) -> None:
    """Let a function suggest the values of an argument; by default these are files and folders."""
    argument.completer = suggest  # type: ignore[attr-defined]


def choices_of_groups(prefix: str, **unused: Any) -> list[str]:
    """Options of ``sr train``: the choices of every config group, as in ``model=espcn``, and top-level options."""
    from sr.options.known import TopLevel  # Hydra takes a while to import
    from sr.train import config_dir

    folder = config_dir()
    files = [path.relative_to(folder).with_suffix("") for path in sorted(folder.glob("*/*.yaml"))]
    choices = [f"{path.parent}={path.name}" for path in files]
    groups = {path.parent.name for path in files}
    options = [f"{name}=" for name in TopLevel.__annotations__ if name not in groups]
    return [word for word in [*choices, *options] if word.startswith(prefix)]


def choices_of_group(group: str) -> Callable[..., list[str]]:
    """What suggests the choices of a config group, several with commas."""

    def suggest(prefix: str, **unused: Any) -> list[str]:
        from sr.train import config_dir

        before, comma, last = prefix.rpartition(",")
        names = sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))
        return [f"{before}{comma}{name}" for name in names if name.startswith(last)]

    return suggest


def model_names(prefix: str, **unused: Any) -> list[str]:
    """Names of the networks that ship with ``sr``, then files and folders."""
    from argcomplete.completers import FilesCompleter

    from sr.weights.zoo import entries

    paths: list[str] = list(FilesCompleter()(prefix))
    return [name for name in (entry.name for entry in entries()) if name.startswith(prefix)] + paths
