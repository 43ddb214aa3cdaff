"""Time and memory of `sr check-data` on many images, alone and in pairs.

python -m scripts.bench.check_data            # about 5 minutes on two cores; writes benchmarks/check.json
"""

import argparse
import resource
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scripts.bench.timing import save
from sr.data.check import check
from sr.data.sources import demo_photographs
from sr.io.images import read_image

SIDE = 256


def write_pair(number: int, photographs: list[Image.Image], root: Path, scale: int) -> None:
    """Write image ``number``, a blend of crops of two photographs, and its downscaled version."""
    random = np.random.default_rng(number)
    parts = []
    for index in random.choice(len(photographs), 2, replace=False):
        photograph = photographs[index]
        side = int(random.integers(SIDE // 3, SIDE))
        left, top = (int(random.integers(0, length - side + 1)) for length in photograph.size)
        parts.append(photograph.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side)))
    image = Image.blend(parts[0], parts[1], 0.4)
    image.save(root / "high_res" / f"{number}.png", compress_level=3)
    small = image.resize((SIDE // scale, SIDE // scale), Image.Resampling.BICUBIC)
    small.save(root / "low_res" / f"{number}.png", compress_level=3)


def measure(what: str, folder: Path) -> dict[str, Any]:
    """Check a folder; a row with the seconds and the peak memory of the process so far."""
    start = time.perf_counter()
    report = check([folder])
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"what": what, "images": report.images, "seconds": seconds, "peak_mib": memory}


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="number of images")
    parser.add_argument("--scale", type=int, default=2, help="scale of the pairs")
    options = parser.parse_args()
    files = sorted({source.hr for source in demo_photographs()})
    photographs = [Image.fromarray(read_image(file).permute(1, 2, 0).numpy()) for file in files]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("high_res", "low_res"):
            (root / name).mkdir()
        with ThreadPoolExecutor() as pool:
            write_numbered = partial(write_pair, photographs=photographs, root=root, scale=options.scale)
            list(pool.map(write_numbered, range(options.count)))
        size = f"{SIDE}x{SIDE} pixels"
        save("check", [measure(f"{size}, PNG", root / "high_res"), measure(f"{size} and their pairs, PNG", root)])


if __name__ == "__main__":
    main()
