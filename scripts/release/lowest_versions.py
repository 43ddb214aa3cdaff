"""Print constraints that pin every requirement of pyproject.toml to the lowest version that it allows.

python -m scripts.release.lowest_versions > lowest.txt && pip install -c lowest.txt -e '.[dev]'
make lowest                      # does so and runs the fast tests, with torch as in constraints.txt
make lowest TORCH=2.11.0          # with torch's lowest too
"""

import argparse
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def lowest(project: Path, torch: str | None = None) -> list[str]:
    """Lines of a constraints file, one for each requirement; torch may have a version of its own.

    Raises:
        ValueError: for a requirement without a lower bound.
    """
    about = tomllib.loads(project.read_text())["project"]
    extras: dict[str, list[str]] = about["optional-dependencies"]
    lines = []
    for requirement in (*about["dependencies"], *(one for names in extras.values() for one in names)):
        name = re.split(r"[\[<>=! ]", requirement)[0]
        if name == about["name"]:  # its own extras, named by another
            continue
        bound = re.search(r">=\s*([\w.]+)", requirement)
        if not bound:
            raise ValueError(f"{requirement}: has no lower bound: write {name}>=VERSION")
        lines.append(f"{name}=={torch if torch and name == 'torch' else bound[1]}")
    return lines


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", metavar="VERSION", help="of torch (default: its lowest)")
    print("\n".join(lowest(ROOT / "pyproject.toml", parser.parse_args().torch)))


if __name__ == "__main__":
    main()
