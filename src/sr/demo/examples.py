"""Photographs to try the demo with, from scikit-image's wheel: all are public domain or CC0."""

from importlib.util import find_spec
from pathlib import Path

from PIL import Image

_FILES = {"Cat": "chelsea.png", "Astronaut": "astronaut.png", "Coffee": "coffee.png"}
_SIDE = 200  # pixels of the longer side: large enough to see, small enough to enlarge at once


def example_names() -> list[str]:
    """The photographs by name; none where scikit-image lacks its data."""
    return [name for name in _FILES if _path(name).is_file()]


def write_example(name: str, path: Path) -> None:
    """Write a photograph, reduced, as PNG."""
    with Image.open(_path(name)) as image:
        small = image.convert("RGB")
        small.thumbnail((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        small.save(path)


def _path(name: str) -> Path:
    spec = find_spec("skimage")  # a dependency: it is there
    return Path(str(spec and spec.origin)).parent / "data" / _FILES[name]
