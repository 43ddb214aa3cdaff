"""Start the trainings of a round as the jobs of one Hydra multirun, on any launcher."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from sr.io.atomic import write_text
from sr.launch.names import quoted
from sr.race.jobs import Job

_FOLDER = ".decide"  # in that of the race: the jobs, and what launchers write
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def train(jobs: Sequence[Job], folder: Path, options: Sequence[str]) -> int:
    """Run the jobs, and return the exit code.

    Ctrl-C and SIGTERM are passed on, and raised once the trainings have ended; they do not outlive a killed parent.

    Args:
        jobs: the trainings.
        folder: of the race.
        options: of Hydra, such as ``hydra/launcher=joblib``.
    """
    place = (folder / _FOLDER).absolute()
    place.mkdir(exist_ok=True)
    overrides = [[*job.overrides, f"hydra.sweep.subdir={quoted(job.cell.absolute())}"] for job in jobs]
    write_text(place / "jobs.json", json.dumps(overrides, indent=2) + "\n")
    own = ["hydra/sweeper=jobs", f"hydra.sweeper.file={quoted(place / 'jobs.json')}"]
    own.append(f"hydra.sweep.dir={quoted(place)}")
    previous = signal.signal(signal.SIGTERM, _terminated)
    process = subprocess.Popen(
        [sys.executable, "-m", "sr.train", "-m", *own, *options],
        start_new_session=True,  # so that a signal reaches it once, from here
        preexec_fn=_dies_with_parent(),
    )
    try:
        return process.wait()
    except (KeyboardInterrupt, SystemExit) as error:
        os.killpg(process.pid, signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _dies_with_parent() -> Callable[[], object] | None:
    """What makes a child end with SIGTERM when this process is killed; only Linux can."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return lambda: library.prctl(_DIE_WITH_PARENT, signal.SIGTERM)
