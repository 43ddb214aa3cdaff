"""Give `sr predict` checkpoints and exported networks that were made to harm, and see that it refuses each.

python -m scripts.campaigns.try_hostile_files            # half a minute; writes benchmarks/hostile.json

Every file is loaded in a process of its own, whose memory is limited. It has to be refused with exit code 2 and one
line that names it, soon, and nothing in it may have run: what can run would write a marker file. Exit code 1 otherwise.
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
from contextlib import redirect_stderr
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.progress import Progress

from scripts.bench.timing import save
from sr.cli import main as sr_main
from tests.support.hostile.checkpoints import weights
from tests.support.hostile.files import MAKERS, hostile_files

MEMORY = 8 << 30  # bytes of addresses beyond those a process starts with; ONNX Runtime may take four
PATIENCE = 30.0  # seconds
_REFUSED = 2  # exit code


def _predict(told: Connection, model: Path, picture: Path) -> None:
    """In a process of its own: exit code, what was written to stderr, and memory taken beyond that at the start."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far was the parent's
    before = _peak()
    text = io.StringIO()
    code: object = 0
    with redirect_stderr(text):
        try:
            sr_main(["predict", str(picture), "-m", str(model), "-o", f"{picture}.big.png", "--force"])
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    told.send((code, text.getvalue(), _peak() - before))


def _peak() -> float:
    """Most memory so far, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def try_file(model: Path, picture: Path) -> tuple[object, str, float, float]:
    """Exit code or what happened instead, the text, seconds, and MB."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_predict, args=(theirs, model, picture))
    begun = time.perf_counter()
    process.start()
    theirs.close()
    try:
        if ours.poll(PATIENCE):
            code, text, memory = ours.recv()
        else:
            code, text, memory = "hung", "", 0.0
    except EOFError:
        process.join()
        code, text, memory = f"ended by {signal.Signals(-(process.exitcode or 0)).name}", "", 0.0
    seconds = time.perf_counter() - begun
    process.kill()
    process.join()
    return code, text, seconds, memory


def main() -> None:
    """Make, try, print and write."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    warnings.simplefilter("ignore")  # of torch, where it makes tensors that are going out of use
    torch.set_num_threads(1)  # its threads do not survive a fork
    import onnx  # noqa: F401 - these take seconds, which are not those of a file
    import onnxruntime  # noqa: F401

    import sr.inference.predict  # noqa: F401

    rows: list[dict[str, Any]] = []
    wrong = []
    with tempfile.TemporaryDirectory() as place, Progress(transient=True) as progress:
        marker, picture = Path(place, "marker"), Path(place, "picture.png")
        folder = Path(place, "files")
        folder.mkdir()
        Image.new("RGB", (32, 32), "gray").save(picture)
        weights()  # torch has started
        bar = progress.add_task("files", total=None)
        for name, path in chain.from_iterable(hostile_files(suffix, folder, marker) for suffix in MAKERS):
            code, text, seconds, memory = try_file(path, picture)
            line = text.strip()
            refused = code == _REFUSED and line.startswith(f"error: {path}: ") and "\n" not in line
            row = {"name": name, "refused": refused, "marker": marker.exists(), "seconds": seconds, "MB": memory}
            row["message"] = line.replace(str(path), "FILE") if refused else f"{code}: {line}"
            rows.append(row)
            if not refused or row["marker"]:
                wrong.append(row)
            marker.unlink(missing_ok=True)
            progress.advance(bar)
    save(
        "hostile",
        [
            {
                "files": len(rows),
                "refused in one line": sum(row["refused"] for row in rows),
                "markers written": sum(row["marker"] for row in rows),
                "slowest s": max(row["seconds"] for row in rows),
                "most MB": max(row["MB"] for row in rows),
            }
        ],
        files=rows,
        memory_limit=MEMORY,
    )
    for row in wrong:
        print(f"not refused: {row}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
