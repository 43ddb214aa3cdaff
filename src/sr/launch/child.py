"""A training in a process of its own, for programs and notebooks: the command line with its lines and its exit code."""

import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from sr.errors import DivergedError, UserError

log = logging.getLogger(__name__)

_BAD_INPUT, _DIVERGED, _CTRL_C = 2, 3, 130  # exit codes of `sr.train`
_SWEEPS = ("-m", "--multirun")
_FOLDER = "run folder: "  # the last line of a training that ended well
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
    if isinstance(overrides, str):
        raise UserError(f"fit takes a list of overrides: fit([{overrides!r}])")
    if sweeps := [override for override in overrides if override in _SWEEPS]:
        raise UserError(f"fit trains one configuration, with any number of seeds and folds: leave out {sweeps[0]}")
    command = [sys.executable, "-m", "sr.train", *overrides, _FORMAT]
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,  # it gets an interrupt from here, once, and not from the terminal as well
    )
    try:
        lines = _follow(process, progress=progress)
    except BaseException:
        process.kill()
        raise
    return _outcome(process.wait(), lines)


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
            process.send_signal(signal.SIGINT)  # it writes its checkpoint, and ends


def _divided(line: str) -> tuple[int, str]:
    """The level of a line and its text; what was not logged, such as a traceback, has level 0."""
    prefix = next((level for level in _LEVELS if line.startswith(level)), "")
    return (logging.getLevelName(prefix.strip()) if prefix else 0), line.removeprefix(prefix)


def _outcome(code: int, lines: Sequence[str]) -> Path:
    last = lines[-1] if lines else ""
    reason = next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), last)
    if code == 0 and last.startswith(_FOLDER):
        return Path(last.removeprefix(_FOLDER))
    if code == _BAD_INPUT:
        raise UserError(reason)
    if code == _DIVERGED:
        raise DivergedError(reason)
    if code == _CTRL_C:
        raise KeyboardInterrupt(reason)
    text = "\n".join(lines)
    raise RuntimeError(f"the training ended with exit code {code}:\n{text}")
