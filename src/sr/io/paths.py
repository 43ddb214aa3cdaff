"""Paths as users type them."""

from pathlib import Path


def user_path(text: object) -> Path:
    """Turn an option into a path; ``~`` is the home folder, and relative paths start at the original working directory.

    The result is absolute only if Hydra has changed the working directory (``hydra.job.chdir=true``).

    Args:
        text: a path, a string, or a number, since YAML reads a folder named 2024 as one.
    """
    from hydra.utils import to_absolute_path  # slow to import

    path = Path(str(text)).expanduser()
    absolute = Path(to_absolute_path(str(path)))
    return path if path.absolute() == absolute else absolute


def shortest_path(path: Path) -> str:
    """A path as a user would type it: relative to the working directory if it is below it."""
    folder = Path.cwd()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
