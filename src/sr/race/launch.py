"""Start the trainings of a round as the jobs of one Hydra multirun, on any launcher."""

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from sr.io.atomic import write_text
from sr.launch.names import quoted
from sr.machine.children import interrupt, start
from sr.race.jobs import Job

_FOLDER = ".decide"  # in that of the race: the jobs, and what launchers write


def train(jobs: Sequence[Job], folder: Path, options: Sequence[str]) -> int:
    """Run the jobs, and return the greatest exit code.

    Those whose configs lie elsewhere are launched apart: files of one name may differ.

    Ctrl-C and SIGTERM are passed on, and raised once the trainings have ended; they do not outlive a killed parent.

    Args:
        jobs: the trainings.
        folder: of the race.
        options: of Hydra, such as ``hydra/launcher=joblib``.
    """
    places = dict.fromkeys(tuple(job.configs) for job in jobs)
    return max(_launch([job for job in jobs if tuple(job.configs) == configs], folder, options) for configs in places)


def _launch(jobs: Sequence[Job], folder: Path, options: Sequence[str]) -> int:
    place = (folder / _FOLDER).absolute()
    place.mkdir(exist_ok=True)
    overrides = [[*job.overrides, f"hydra.sweep.subdir={quoted(job.cell.absolute())}"] for job in jobs]
    write_text(place / "jobs.json", json.dumps(overrides, indent=2) + "\n")
    own = ["hydra/sweeper=jobs", f"hydra.sweeper.file={quoted(place / 'jobs.json')}"]
    own.append(f"hydra.sweep.dir={quoted(place)}")
    if configs := jobs[0].configs:
        own.append(f"hydra.searchpath=[{','.join(map(quoted, configs))}]")
    previous = signal.signal(signal.SIGTERM, _terminated)
    process = start([sys.executable, "-m", "sr.train", "-m", *own, *options])
    try:
        return process.wait()
    except (KeyboardInterrupt, SystemExit) as error:
        interrupt(process, signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM)
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
