"""Run a command in a pseudo-terminal."""

import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and moves of the cursor


def in_terminal(command: Sequence[str], folder: Path, columns: int = 100) -> tuple[int, list[str]]:
    """Run a command in a terminal of 40 rows.

    Returns:
        The exit code, and all that was ever on a line, without colours: a line that was drawn again counts again.
    """
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, cwd=folder, env=environment)
    os.close(follower)
    chunks = []
    try:
        while chunk := os.read(leader, 2**16):
            chunks.append(chunk)
    except OSError:  # Linux says so that the command has ended
        pass
    os.close(leader)
    text = _CONTROL.sub("", b"".join(chunks).decode())
    return process.wait(), [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]
