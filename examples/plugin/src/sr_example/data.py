"""A data source: the images that a text file lists."""

from collections.abc import Sequence
from pathlib import Path

from sr.data.sources import Source
from sr.errors import UserError


def listed_images(root: str | Path | Sequence[str | Path] | None, on_bad_file: str = "error") -> list[Source]:
    """List the images that a file names, one path in a line, relative to the file.

    Args:
        root: the file.
        on_bad_file: ``skip`` leaves out lines without a file.

    Raises:
        UserError: for a missing file, unless it is skipped.
    """
    if not isinstance(root, str | Path) or not Path(root).is_file():
        raise UserError(f"data.root={root}: data=listed needs a text file with the path of an image in each line")
    paths = [Path(root).parent / line.strip() for line in Path(root).read_text().splitlines() if line.strip()]
    missing = [path for path in paths if not path.is_file()]
    if missing and on_bad_file != "skip":
        raise UserError(f"{root}: lists {missing[0]}, which does not exist")
    return [Source(name=path.stem, group=path.stem, hr=path) for path in sorted(paths) if path not in missing]
