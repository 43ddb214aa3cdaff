"""Paths as users type them."""

from pathlib import Path

from hydra.utils import to_absolute_path


def user_path(text: object) -> Path:
    """Turn an option into a path: ``~`` is the home folder, and relative means from where the program was started.

    With ``hydra.job.chdir=true`` Hydra changes into the run's folder; otherwise a relative path stays relative.

    Args:
        text: a path, text, or number: YAML reads a folder named 2024 as one.
    """
    path = Path(str(text)).expanduser()
    absolute = Path(to_absolute_path(str(path)))
    return path if path.absolute() == absolute else absolute
