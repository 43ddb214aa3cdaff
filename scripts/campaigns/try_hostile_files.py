"""Give `sr predict` malicious checkpoints and exported networks, and check that it refuses each.

python -m scripts.campaigns.try_hostile_files            # half a minute; writes benchmarks/hostile.json

Every file is loaded in a new process with limited memory. It must be refused within seconds, with exit code 2 and one
line that names it, and no code in it may run: it would write a marker file. Otherwise the exit code is 1.
"""

import argparse
import io
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.progress import Progress

from scripts.bench.timing import save
from sr.architectures import import_spandrel
from sr.cli import main as sr_main
from tests.support.hostile.checkpoints import weights
from tests.support.hostile.files import MAKERS, hostile_files

MEMORY = 8 << 30  # bytes of address space beyond that at the start; ONNX Runtime may use half
TIMEOUT = 30.0  # seconds
_REFUSED = 2  # exit code


def _predict(results: Connection, model: Path, image: Path) -> None:
    """Run `sr predict` and send its exit code, its standard error, and its memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the parent process
    before = _peak_memory()
    text = io.StringIO()
    code: object = 0
    with redirect_stderr(text):
        try:
            sr_main(["predict", str(image), "-m", str(model), "-o", f"{image}.big.png", "--force"])
        except SystemExit as error:
            code = error.code
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    results.send((code, text.getvalue(), _peak_memory() - before))


def _peak_memory() -> float:
    """Peak memory of this process, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def try_file(model: Path, image: Path) -> tuple[object, str, float, float]:
    """Enlarge an image with a model in a new process.

    Returns:
        Exit code, or what happened instead; standard error; seconds; MB of memory.
    """
    parent_pipe, child_pipe = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_predict, args=(child_pipe, model, image))
    start = time.perf_counter()
    process.start()
    child_pipe.close()
    try:
        code, text, memory = parent_pipe.recv() if parent_pipe.poll(TIMEOUT) else ("hung", "", 0.0)
    except EOFError:
        process.join()
        code, text, memory = f"ended by {signal.Signals(-(process.exitcode or 0)).name}", "", 0.0
    seconds = time.perf_counter() - start
    process.kill()
    process.join()
    return code, text, seconds, memory


def try_all(folder: Path) -> Iterator[dict[str, Any]]:
    """Try every hostile file; yields a row for each."""
    marker, image = folder / "marker", folder / "image.png"
    files = folder / "files"
    files.mkdir()
    Image.new("RGB", (32, 32), "gray").save(image)
    for name, path in chain.from_iterable(hostile_files(suffix, files, marker) for suffix in MAKERS):
        code, text, seconds, memory = try_file(path, image)
        line = text.strip()
        refused = code == _REFUSED and line.startswith(f"error: {path}: ") and "\n" not in line
        row = {"name": name, "refused": refused, "marker": marker.exists(), "seconds": seconds, "MB": memory}
        yield row | {"message": line.replace(str(path), "FILE") if refused else f"{code}: {line}"}
        marker.unlink(missing_ok=True)


def main() -> None:
    """Try every file, print a table and write it."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    warnings.simplefilter("ignore")  # torch warns of the tensors in the files
    torch.set_num_threads(1)  # threads do not survive a fork
    import onnx  # noqa: F401 - imported before the time of a file is measured
    import onnxruntime  # noqa: F401

    import sr.inference.predict  # noqa: F401

    weights()  # torch starts before the time of a file is measured
    import_spandrel()
    with tempfile.TemporaryDirectory() as folder, Progress(transient=True) as progress:
        rows = list(progress.track(try_all(Path(folder)), description="files"))
    summary = {
        "files": len(rows),
        "refused in one line": sum(row["refused"] for row in rows),
        "markers written": sum(row["marker"] for row in rows),
        "slowest s": max(row["seconds"] for row in rows),
        "most MB": max(row["MB"] for row in rows),
    }
    save("hostile", [summary], files=rows, memory_limit=MEMORY)
    accepted = [row for row in rows if not row["refused"] or row["marker"]]
    for row in accepted:
        print(f"not refused: {row}")
    sys.exit(bool(accepted))


if __name__ == "__main__":
    main()
