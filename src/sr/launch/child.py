"""A training in a process of its own, for programs and notebooks: the command line with its lines and its exit code."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from sr.errors import DivergedError, UserError
from sr.launch.messages import FOLDER_FILE
from sr.machine.children import interrupt, start

log = logging.getLogger(__name__)

_BAD_INPUT, _DIVERGED, _CTRL_C = 2, 3, 130  # exit codes of `sr.train`
_LAST_LINES = 20  # of a failed training, in the error
# So that warnings can be told from other lines; it changes neither the log file of the run nor its record.
_FORMAT = "hydra.job_logging.formatters.plain.format='%(levelname)s %(message)s'"
_LEVELS = tuple(f"{level} " for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))


def train(overrides: Sequence[str], *, progress: bool) -> Path:
    """Train what the overrides of a command line say, see `sr.fit`.

    Returns:
        The folder of the run.

    Raises:
        UserError: for input that has to change.
        DivergedError: if the training diverged.
        KeyboardInterrupt: after an interrupt.
        RuntimeError: if the training failed otherwise.
    """
    if isinstance(overrides, str) or not all(isinstance(override, str) for override in overrides):
        raise UserError(f"fit takes a list of overrides, each a text: fit(['scale=2']), not {overrides!r}")
    if flags := [override for override in overrides if override.startswith("-")]:
        raise UserError(f"fit trains one configuration, with any number of seeds and folds: leave out {flags[0]}")
    command = [sys.executable, "-m", "sr.train", *overrides, _FORMAT]
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path if isinstance(path, str))
    with tempfile.TemporaryDirectory() as place:
        folder_file = Path(place, "folder")
        process = start(
            command,
            last_signal=signal.SIGINT,  # it writes a checkpoint
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", FOLDER_FILE: str(folder_file)},
        )
        try:
            lines = _follow(process, progress=progress)
        except BaseException:
            process.kill()
            raise
        code = process.wait()
        folder = folder_file.read_text(encoding="utf-8") if folder_file.is_file() else ""
    return _outcome(code, lines, folder)


def _follow(process: "subprocess.Popen[str]", *, progress: bool) -> list[str]:
    """Pass on the lines of a training until it ends; pass on an interrupt to it."""
    assert process.stdout
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    while True:
        try:
            for line in process.stdout:
                level, text = _divided(line.rstrip("\n"))
                lines.append(text)
                if progress:
                    sys.stdout.write(f"{text}\n")
                elif level >= logging.WARNING and not text.startswith("error: "):
                    log.log(level, "%s", text)
            return list(lines)
        except KeyboardInterrupt:
            interrupt(process)  # it writes its checkpoint, and ends


def _divided(line: str) -> tuple[int, str]:
    """The level of a line and its text; what was not logged, such as a traceback, has level 0."""
    prefix = next((level for level in _LEVELS if line.startswith(level)), "")
    return (logging.getLevelName(prefix.strip()) if prefix else 0), line.removeprefix(prefix)


def _outcome(code: int, lines: Sequence[str], folder: str) -> Path:
    last = lines[-1] if lines else ""
    reason = next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), last)
    if code == 0 and folder:
        return Path(folder)
    if code == _BAD_INPUT:
        raise UserError(reason)
    if code == _DIVERGED:
        raise DivergedError(reason)
    if code == _CTRL_C:
        raise KeyboardInterrupt(reason)
    text = "\n".join(lines)
    raise RuntimeError(f"the training ended with exit code {code}:\n{text}")
