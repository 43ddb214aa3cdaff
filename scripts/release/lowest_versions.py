"""Print constraints that pin every requirement of pyproject.toml to the lowest version that it allows.

python -m scripts.release.lowest_versions > lowest.txt && pip install -c lowest.txt -e '.[dev]'
make lowest                      # installs them and runs the fast tests, with torch as in constraints.txt
make lowest TORCH=2.11.0          # with the lowest torch, too
"""

import argparse
import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def lowest_versions(project: Path, torch: str | None = None) -> list[str]:
    """Lines of a constraints file, one for each requirement of a ``pyproject.toml`` and its extras.

    Args:
        project: the ``pyproject.toml``.
        torch: version of torch; by default its lowest.

    Raises:
        ValueError: for a requirement without a lower bound.
    """
    metadata = tomllib.loads(project.read_text())["project"]
    extras: dict[str, list[str]] = metadata["optional-dependencies"]
    lines = []
    for requirement in chain(metadata["dependencies"], *extras.values()):
        name = re.split(r"[\[<>=! ]", requirement)[0]
        if name == metadata["name"]:  # an extra that includes others
            continue
        bound = re.search(r">=\s*([\w.]+)", requirement)
        if not bound:
            raise ValueError(f"{requirement}: has no lower bound: write {name}>=VERSION")
        lines.append(f"{name}=={torch if torch and name == 'torch' else bound[1]}")
    return lines


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--project", type=Path, default=PROJECT, metavar="FILE", help="pyproject.toml to read (default: that of sr)"
    )
    parser.add_argument("--torch", metavar="VERSION", help="version of torch (default: its lowest)")
    options = parser.parse_args()
    try:
        print("\n".join(lowest_versions(options.project, options.torch)))
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
