"""Damage image files in thousands of ways and read each like a data set, like sr predict, and with --frames all.

python -m scripts.campaigns.fuzz_images    # 20,000 files, some minutes on two cores; writes benchmarks/fuzz.json
python -m scripts.campaigns.fuzz_images --files 200000 --seed 1

Every file must be read as an image of the size in its header or be refused in one line that names it, within seconds
and a limit of memory. Anything else is a failure: another exception, a line break, a hang, a worker that dies. Failing
files are kept in a folder, and the exit code is 1.
"""

import argparse
import io
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

MEMORY = 3 << 30  # bytes of address space that a worker may add after its start
TIMEOUT = 30.0  # seconds per file: a header may claim the 200 million pixels that are allowed
_START_TIMEOUT = 60.0  # seconds that a worker may take to start
_PIXELS = 4_000_000  # limit of sr predict, as in the demo
READERS = ("data", "predict", "frames")
_BATCH = 100  # files that a worker receives at a time


def content_of(seed: int, number: int) -> tuple[str, bytes]:
    """Description and content of file ``number`` of a seed, always the same."""
    return damaged(intact_images(), random.Random(f"{seed} {number}"))


def read_in_all_ways(content: bytes, path: Path) -> Counter[str]:
    """Read a file in each way and count how it ended; what is read of an animation is written again.

    Raises:
        Exception: if the file is neither read nor refused.
    """
    from sr.io.animations import is_animation, read_animation, write_animation
    from sr.io.images import ImageFileError, image_size, is_gray, read_image
    from sr.io.pictures import read_picture

    path.write_bytes(content)
    endings: Counter[str] = Counter()

    def read_frames() -> tuple[int, ...]:
        animation = read_animation(path, _PIXELS)
        write_animation(io.BytesIO(), path.suffix, animation)
        return animation.frames[0].shape

    readers: dict[str, Callable[[], tuple[int, ...]]] = {
        "data": lambda: read_image(path).shape,
        "predict": lambda: read_picture(path, None, _PIXELS).pixels.shape,
    }
    if is_animation(path):
        readers["frames"] = read_frames
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
    read_in_all_ways(intact_images()["png 16-bit"], folder / "first.png")  # import everything before measuring memory
    used_memory = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used_memory + MEMORY, used_memory + MEMORY))
    path = folder / f"{id(pipe)}.png"
    while (numbers := pipe.recv()) is not None:
        for number in numbers:
            pipe.send(("started", number, None))
            _, content = content_of(seed, number)
            start = time.perf_counter()
            try:
                result: Any = (read_in_all_ways(content, path), time.perf_counter() - start)
            except BaseException as error:
                result = f"{type(error).__name__}: {error}"
            pipe.send(("finished", number, result))
        pipe.send(("idle", 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


class _Worker:
    """A process, the files that it has yet to read, and the deadline of the current one."""

    def __init__(self, seed: int, folder: Path, numbers: list[int]) -> None:
        self.pipe, worker_pipe = Pipe()
        self.process = Process(target=_work, args=(worker_pipe, seed, folder), daemon=True)
        self.process.start()
        worker_pipe.close()
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
    """Workers that read damaged files, and the results."""

    def __init__(self, files: int, seed: int, folder: Path, keep: Path) -> None:
        """Read files 0 to ``files`` - 1 of a seed in ``folder``; keep those that fail in ``keep``."""
        self.seed, self.folder, self.keep = seed, folder, keep
        self.remaining = list(range(files))
        self.endings: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.seconds: dict[int, float] = {}
        self.failures: list[str] = []
        self.memory = 0.0  # MB

    def run(self, workers: int, progress: Progress) -> None:
        """Read all files in several processes, replacing those that die or hang."""
        bar = progress.add_task("files", total=len(self.remaining))
        pool = [self._start() for _ in range(workers)]
        while pool:
            ready = wait([worker.pipe for worker in pool], timeout=1)
            for worker in list(pool):
                alive = self._receive(worker) if worker.pipe in ready else not worker.is_late
                if not alive:
                    pool.remove(worker)
                    if worker.waiting:
                        self._record_loss(worker)
                    if self.remaining:
                        pool.append(self._start())
            progress.update(bar, completed=self.kinds.total())

    def _start(self) -> _Worker:
        return _Worker(self.seed, self.folder, self._batch())

    def _batch(self) -> list[int]:
        batch, self.remaining = self.remaining[:_BATCH], self.remaining[_BATCH:]
        return batch

    def _receive(self, worker: _Worker) -> bool:
        """Handle a message of a worker; False if it has exited."""
        try:
            state, number, result = worker.pipe.recv()
        except (EOFError, OSError):
            return False
        if state == "started":
            worker.deadline = time.monotonic() + TIMEOUT
        elif state == "idle":
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

    def _record_loss(self, worker: _Worker) -> None:
        """Record the file at which a worker died or hung, and requeue the files that it had not started."""
        hung = worker.is_late
        worker.process.kill()
        worker.process.join()
        ending = "hang" if hung else "worker died"
        self._fail(worker.waiting[0], ending, ending if hung else f"{ending} ({worker.process.exitcode})")
        self.remaining[:0] = worker.waiting[1:]

    def _fail(self, number: int, ending: str, reason: str) -> None:
        name, content = content_of(self.seed, number)
        self.endings[ending] += 1
        self.kinds[name.split(":")[0]] += 1
        self.keep.mkdir(parents=True, exist_ok=True)
        (self.keep / f"{self.seed}_{number}.bin").write_bytes(content)
        self.failures.append(f"{number} ({name}): {reason}")

    def row(self) -> dict[str, Any]:
        """A row of the table."""
        names = [f"{reader}: {ending}" for reader in READERS for ending in ("image", "refused")]
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
    parser.add_argument("--files", type=int, default=20_000, help="number of damaged files")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage")
    parser.add_argument("--workers", type=int, default=2, help="number of reading processes")
    parser.add_argument("--keep", type=Path, default=Path("runs", "fuzz"), help="folder for failing files")
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
