"""Damage image files in thousands of ways and read each as a data set would and as sr predict would.

python -m scripts.campaigns.fuzz_images    # 20,000 files, some minutes on two cores; writes benchmarks/fuzz.json
python -m scripts.campaigns.fuzz_images --files 200000 --seed 1

Every file has to become a picture of the size that its header says, or be refused in one line that names it, within
seconds and within the memory that a worker has. Anything else is a failure: another exception, a line break, a hang, a
worker that dies. Files that fail are kept in a folder. Exit code 1 if any does.
"""

import argparse
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from rich.progress import Progress

from scripts.bench.timing import save
from tests.support.damaged_images import damaged, whole_images

MEMORY = 3 << 30  # bytes of addresses that a worker may have beyond those it starts with
PATIENCE = 30.0  # seconds for one file: a header may claim the 200 million pixels that are allowed
_PIXELS = 4_000_000  # allowed, as in the demo
_SHARE = 100  # files that a worker is given at a time


def content_of(seed: int, number: int) -> tuple[str, bytes]:
    """File ``number`` of a seed: always the same one."""
    return damaged(whole_images(), random.Random(f"{seed} {number}"))


def read_both(content: bytes, path: Path) -> Counter[str]:
    """Read a file in both ways; how each ended.

    Raises:
        Exception: whatever is neither a picture nor our own refusal.
    """
    from sr.io.images import ImageFileError, image_size, is_gray, read_image
    from sr.io.pictures import read_picture

    path.write_bytes(content)
    ends: Counter[str] = Counter()
    for name, read in (("data", lambda: read_image(path)), ("predict", lambda: read_picture(path, None, _PIXELS))):
        try:
            picture: Any = read()
            pixels = picture if name == "data" else picture.pixels
            assert min(pixels.shape) > 0
            ends[f"{name}: image"] += 1
        except ImageFileError as error:
            if not str(error).startswith(str(path)) or "\n" in str(error):
                raise RuntimeError(f"not one line that names the file: {error}") from error
            ends[f"{name}: refused"] += 1
    image_size(path)
    is_gray(path)
    return ends


def _work(given: Connection, seed: int, folder: Path) -> None:
    """Read the files that are asked for by number, and say before and after each."""
    read_both(whole_images()["png 16-bit"], folder / "first.png")  # all that is imported has its place
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    path = folder / f"{id(given)}.png"
    while (numbers := given.recv()) is not None:
        for number in numbers:
            given.send(("begun", number, None))
            _, content = content_of(seed, number)
            begun = time.perf_counter()
            try:
                told: Any = (read_both(content, path), time.perf_counter() - begun)
            except BaseException as error:
                told = f"{type(error).__name__}: {error}"
            given.send(("ended", number, told))
        given.send(("free", 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


class _Worker:
    """A process, the file it works on and since when."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.pipe, theirs = Pipe()
        self.process = Process(target=_work, args=(theirs, seed, folder), daemon=True)
        self.process.start()
        theirs.close()
        self.waiting: list[int] = []
        self.since = time.monotonic() + 60  # to start

    def give(self, numbers: list[int]) -> None:
        self.waiting = numbers
        self.pipe.send(numbers or None)
        self.since = time.monotonic()


def main() -> None:
    """Damage, read, count, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("runs", "fuzz"), help="folder for files that fail")
    options = parser.parse_args()
    ends: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    failures: list[str] = []
    seconds: dict[int, float] = {}
    memory = 0.0
    left = list(range(options.files))
    begun = time.monotonic()

    def fail(number: int, why: str) -> None:
        name, content = content_of(options.seed, number)
        options.keep.mkdir(parents=True, exist_ok=True)
        (options.keep / f"{options.seed}_{number}.bin").write_bytes(content)
        failures.append(f"{number} ({name}): {why}")

    with tempfile.TemporaryDirectory() as place, Progress(transient=True) as progress:
        bar = progress.add_task("files", total=options.files)
        folder = Path(place)

        def started() -> _Worker:
            worker = _Worker(options.seed, folder)
            share, left[:] = left[:_SHARE], left[_SHARE:]
            worker.give(share)
            worker.since = time.monotonic() + 60
            return worker

        workers = [started() for _ in range(options.workers)]
        while workers:
            ready = wait([worker.pipe for worker in workers], timeout=1)
            for worker in list(workers):
                dead = False
                if worker.pipe in ready:
                    try:
                        what, number, told = worker.pipe.recv()
                    except (EOFError, OSError):
                        dead = True
                    else:
                        if what == "begun":
                            worker.since = time.monotonic()
                        elif what == "free":
                            memory = max(memory, told)
                            share, left[:] = left[:_SHARE], left[_SHARE:]
                            worker.give(share)
                            if not share:
                                workers.remove(worker)
                                worker.process.join()
                        else:
                            worker.waiting.remove(number)
                            progress.advance(bar)
                            kinds[content_of(options.seed, number)[0].split(":")[0]] += 1
                            if isinstance(told, str):
                                ends["another exception"] += 1
                                fail(number, told)
                            else:
                                ends += told[0]
                                seconds[number] = told[1]
                elif time.monotonic() - worker.since > PATIENCE:
                    worker.process.kill()
                    dead = True
                if dead:
                    worker.process.join()
                    hung = time.monotonic() - worker.since > PATIENCE
                    ends["hang" if hung else "worker died"] += 1
                    fail(worker.waiting.pop(0), "hung" if hung else f"ended its worker ({worker.process.exitcode})")
                    progress.advance(bar)
                    left[:0] = worker.waiting
                    workers.remove(worker)
                    workers.append(started())
    rows = [
        {
            "files": options.files,
            "kinds": len(kinds),
            **{
                f"{name}: {end}": ends[f"{name}: {end}"] for name in ("data", "predict") for end in ("image", "refused")
            },
            **{end: ends[end] for end in ("another exception", "hang", "worker died")},
            "slowest s": max(seconds.values()),
            "median ms": 1000 * statistics.median(seconds.values()),
            "peak MB": memory,
            "minutes": (time.monotonic() - begun) / 60,
        }
    ]
    print("\n".join(failures[:50]))
    slowest = content_of(options.seed, max(seconds, key=seconds.__getitem__))[0]
    save("fuzz", rows, failures=failures, slowest=slowest, seed=options.seed, memory_limit=MEMORY, patience=PATIENCE)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
