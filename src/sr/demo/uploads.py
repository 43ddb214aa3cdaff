"""The temporary folder of the demo: uploads and results, removed after an hour or when they take too much space."""

import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sr.errors import UserError

MAX_UPLOAD = 20_000_000  # bytes of one file
KEPT_SECONDS = 3600
_KEPT_BYTES = 4_000_000_000
_RESULT = "result-"  # how folders of results begin


class UploadFolder:
    """A temporary folder for uploads and results."""

    def __init__(self) -> None:
        """Create the folder."""
        self.path = Path(tempfile.mkdtemp(prefix="sr-demo-")).resolve()
        self._tidying = threading.Lock()

    def uploaded(self, value: Any) -> str | None:
        """Path of an uploaded file, given what the browser sent; None for no file.

        Raises:
            UserError: for a file outside this folder.
        """
        if value is None:
            return None
        path = value.get("path") if isinstance(value, dict) else None
        with suppress(OSError, ValueError):
            if isinstance(path, str) and Path(path).resolve().is_relative_to(self.path):
                return path
        raise UserError("there is no such upload")

    def new_file(self, name: str) -> Path:
        """Path for a new upload, in a new subfolder."""
        return Path(tempfile.mkdtemp(dir=self.path)) / name

    def new_result(self, name: str) -> Path:
        """Path for a new result, which `result` accepts."""
        return Path(tempfile.mkdtemp(prefix=_RESULT, dir=self.path)) / name

    def result(self, path: Any) -> str:
        """A path as the browser sent it, if it is that of a result.

        Raises:
            UserError: for anything else, and for one that was removed.
        """
        with suppress(OSError, ValueError):
            if isinstance(path, str):
                place = Path(path).resolve(strict=True)
                if place.parent.parent == self.path and place.parent.name.startswith(_RESULT):
                    return str(place)
        raise UserError("this result is no longer there: enlarge the picture again")

    def tidy(self) -> None:
        """Remove what is older than an hour, and the oldest of what takes too much space."""
        with self._tidying:
            entries = sorted(map(_age_and_size, self.path.iterdir()), reverse=True)
            total = 0
            for changed, size, path in entries:
                total += size
                if changed < time.time() - KEPT_SECONDS or total > _KEPT_BYTES:
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:  # an upload whose sender hung up
                        path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _age_and_size(path: Path) -> tuple[float, int, Path]:
    """Time at which a file, or the newest file in a folder, was changed; the bytes that it takes; and its path."""
    changed, size = 0.0, 0
    for entry in (path, *path.glob("*")):
        with suppress(FileNotFoundError):
            status = entry.stat()
            changed, size = max(changed, status.st_mtime), size + status.st_size
    return changed, size, path
