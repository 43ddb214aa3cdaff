"""Damage image files in thousands of ways and read each as a data set would and as sr predict would.

python -m scripts.campaigns.fuzz_images    # 20,000 files, some minutes on two cores; writes benchmarks/fuzz.json
python -m scripts.campaigns.fuzz_images --files 200000 --seed 1

Every file has to be read as an image of the size that its header says, or be refused in one line that names it, within
seconds and within a worker's memory. Anything else is a failure: another exception, a line break, a hang, a worker that
dies. Files that fail are kept in a folder. The exit code is 1 if any does.
"""

import argparse
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from rich.progress import Progress

from scripts.bench.timing import save
from tests.support.damaged_images import damaged, intact_images

MEMORY = 3 << 30  # bytes of addresses that a worker may have beyond those it starts with
TIMEOUT = 30.0  # seconds for one file: a header may claim the 200 million pixels that are allowed
_START_TIMEOUT = 60.0  # seconds that a worker may take to start
_PIXELS = 4_000_000  # that sr predict may read, as in the demo
_BATCH = 100  # files that a worker is given at a time


def content_of(seed: int, number: int) -> tuple[str, bytes]:
    """Description and content of file ``number`` of a seed, always the same."""
    return damaged(intact_images(), random.Random(f"{seed} {number}"))


def read_both(content: bytes, path: Path) -> Counter[str]:
    """Read a file in both ways; how each ended.

    Raises:
        Exception: whatever is neither an image nor a refusal of ours.
    """
    from sr.io.images import ImageFileError, image_size, is_gray, read_image
    from sr.io.pictures import read_picture

    path.write_bytes(content)
    endings: Counter[str] = Counter()
    readers: dict[str, Callable[[], tuple[int, ...]]] = {
        "data": lambda: read_image(path).shape,
        "predict": lambda: read_picture(path, None, _PIXELS).pixels.shape,
    }
    for name, read_shape in readers.items():
        try:
            assert min(read_shape()) > 0
            endings[f"{name}: image"] += 1
        except ImageFileError as error:
            if not str(error).startswith(str(path)) or "\n" in str(error):
                raise RuntimeError(f"not one line that names the file: {error}") from error
            endings[f"{name}: refused"] += 1
    image_size(path)
    is_gray(path)
    return endings


def _work(pipe: Connection, seed: int, folder: Path) -> None:
    """Read the files whose numbers arrive; send a message before and after each, and after each batch."""
    read_both(intact_images()["png 16-bit"], folder / "first.png")  # what is imported now does not count as memory
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    path = folder / f"{id(pipe)}.png"
    while (numbers := pipe.recv()) is not None:
        for number in numbers:
            pipe.send(("begun", number, None))
            _, content = content_of(seed, number)
            start = time.perf_counter()
            try:
                result: Any = (read_both(content, path), time.perf_counter() - start)
            except BaseException as error:
                result = f"{type(error).__name__}: {error}"
            pipe.send(("ended", number, result))
        pipe.send(("free", 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


class _Worker:
    """A process, the files that it still has to read, and when its file has to be done."""

    def __init__(self, seed: int, folder: Path, numbers: list[int]) -> None:
        self.pipe, theirs = Pipe()
        self.process = Process(target=_work, args=(theirs, seed, folder), daemon=True)
        self.process.start()
        theirs.close()
        self.give(numbers)
        self.deadline = time.monotonic() + _START_TIMEOUT + TIMEOUT

    def give(self, numbers: list[int]) -> None:
        """Hand over a batch; an empty one ends the process."""
        self.waiting = numbers
        self.pipe.send(numbers or None)
        self.deadline = time.monotonic() + TIMEOUT

    @property
    def is_late(self) -> bool:
        return time.monotonic() > self.deadline


class Campaign:
    """Workers that read damaged files, and what became of each file."""

    def __init__(self, files: int, seed: int, folder: Path, keep: Path) -> None:
        """Read files 0 to ``files`` - 1 of a seed in ``folder``; keep those that fail in ``keep``."""
        self.seed, self.folder, self.keep = seed, folder, keep
        self.left = list(range(files))
        self.endings: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.seconds: dict[int, float] = {}
        self.failures: list[str] = []
        self.memory = 0.0  # MB

    def run(self, workers: int, progress: Progress) -> None:
        """Read all files in so many processes; one that dies or hangs is replaced."""
        bar = progress.add_task("files", total=len(self.left))
        running = [self._start() for _ in range(workers)]
        while running:
            ready = wait([worker.pipe for worker in running], timeout=1)
            for worker in list(running):
                alive = self._receive(worker) if worker.pipe in ready else not worker.is_late
                if not alive:
                    running.remove(worker)
                    if worker.waiting:
                        self._bury(worker)
                    if self.left:
                        running.append(self._start())
            progress.update(bar, completed=self.kinds.total())

    def _start(self) -> _Worker:
        return _Worker(self.seed, self.folder, self._batch())

    def _batch(self) -> list[int]:
        batch, self.left = self.left[:_BATCH], self.left[_BATCH:]
        return batch

    def _receive(self, worker: _Worker) -> bool:
        """Handle a message of a worker; False if it has ended."""
        try:
            what, number, result = worker.pipe.recv()
        except (EOFError, OSError):
            return False
        if what == "begun":
            worker.deadline = time.monotonic() + TIMEOUT
        elif what == "free":
            self.memory = max(self.memory, result)
            worker.give(self._batch())
            return bool(worker.waiting)
        else:
            worker.waiting.remove(number)
            if isinstance(result, str):
                self._fail(number, "another exception", result)
            else:
                self.kinds[content_of(self.seed, number)[0].split(":")[0]] += 1
                self.endings += result[0]
                self.seconds[number] = result[1]
        return True

    def _bury(self, worker: _Worker) -> None:
        """Record what a worker was doing when it died or hung, and give back what it had not begun."""
        hung = worker.is_late
        worker.process.kill()
        worker.process.join()
        ending = "hang" if hung else "worker died"
        self._fail(worker.waiting[0], ending, ending if hung else f"{ending} ({worker.process.exitcode})")
        self.left[:0] = worker.waiting[1:]

    def _fail(self, number: int, ending: str, reason: str) -> None:
        name, content = content_of(self.seed, number)
        self.endings[ending] += 1
        self.kinds[name.split(":")[0]] += 1
        self.keep.mkdir(parents=True, exist_ok=True)
        (self.keep / f"{self.seed}_{number}.bin").write_bytes(content)
        self.failures.append(f"{number} ({name}): {reason}")

    def row(self) -> dict[str, Any]:
        """A row of the table."""
        names = [f"{reader}: {ending}" for reader in ("data", "predict") for ending in ("image", "refused")]
        names += ["another exception", "hang", "worker died"]
        return {
            "files": self.kinds.total(),
            "kinds": len(self.kinds),
            **{name: self.endings[name] for name in names},
            "slowest s": max(self.seconds.values()),
            "median ms": 1000 * statistics.median(self.seconds.values()),
            "peak MB": self.memory,
        }


def main() -> None:
    """Damage and read the files, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000, help="how many are damaged")
    parser.add_argument("--seed", type=int, default=0, help="of the damages")
    parser.add_argument("--workers", type=int, default=2, help="processes that read")
    parser.add_argument("--keep", type=Path, default=Path("runs", "fuzz"), help="folder for files that fail")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Progress(transient=True) as progress:
        campaign = Campaign(options.files, options.seed, Path(folder), options.keep)
        campaign.run(options.workers, progress)
    row = {**campaign.row(), "minutes": (time.monotonic() - start) / 60}
    print("\n".join(campaign.failures[:50]))
    slowest = content_of(options.seed, max(campaign.seconds, key=campaign.seconds.__getitem__))[0]
    settings = {"seed": options.seed, "memory_limit": MEMORY, "patience": TIMEOUT}
    save("fuzz", [row], failures=campaign.failures, slowest=slowest, **settings)
    sys.exit(bool(campaign.failures))


if __name__ == "__main__":
    main()
