"""Open the file of a video: it alone, never what it refers to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from sr.io.images import regular_file

_NO_OTHER_FILES = {"protocol_whitelist": "none"}  # a playlist could name any file, or address, of this machine


@contextmanager
def opened_video(path: Path) -> Iterator[Any]:
    """Open a file with FFmpeg, which would read its name as a URL, and wait for ever for a pipe.

    Raises:
        UserError: if it is not a regular file, or cannot be opened.
        FFmpegError: if it is not a video, or a playlist.
    """
    with regular_file(path, str(path)) as file, av.open(file, options=_NO_OTHER_FILES) as reader:
        yield reader
