"""Write every hostile file of a format, one at a time."""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.support.hostile.archives import damaged_files, lying_archives
from tests.support.hostile.configs import absurd_arguments, absurd_configs, foreign_targets
from tests.support.hostile.legacy_files import legacy_files
from tests.support.hostile.pickles import calling_pickles, exhausting_pickles, lying_tensors
from tests.support.hostile.safetensors_files import safetensors_files
from tests.support.hostile.states import shared_kernel, unfit_weights


def torch_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of ``*.ckpt`` files."""
    yield from chain(calling_pickles(marker), exhausting_pickles(), lying_tensors(), lying_archives(), damaged_files())
    yield from chain(foreign_targets(marker), absurd_arguments(marker), absurd_configs(), [shared_kernel()])
    yield from unfit_weights()


def pth_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of ``*.pth`` files; needs spandrel."""
    from tests.support.hostile.community_files import community_files

    yield from chain(legacy_files(marker), community_files(marker))


def onnx_files(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of ``*.onnx`` files; needs sr-compare[onnx]."""
    from tests.support.hostile import onnx_files as module

    yield from module.onnx_files(marker)


MAKERS = {".ckpt": torch_files, ".pth": pth_files, ".safetensors": safetensors_files, ".onnx": onnx_files}


def hostile_files(suffix: str, folder: Path, marker: Path) -> Iterator[tuple[str, Path]]:
    """Write each file, yield its name and path, and delete it.

    Args:
        suffix: the format, a key of `MAKERS`.
        folder: where the files are written; some are folders, pipes or links.
        marker: the file that code in them would write.
    """
    path = folder / f"file{suffix}"
    for name, content in MAKERS[suffix](marker):
        path.write_bytes(content)
        yield f"{suffix}: {name}", path
        path.unlink()
    yield f"{suffix}: missing", path
    path.mkdir()
    yield f"{suffix}: folder", path
    path.rmdir()
    os.mkfifo(path)
    yield f"{suffix}: pipe that nobody writes to", path
    path.unlink()
    for target, name in ((path, "link to itself"), (Path("/dev/zero"), "device without an end")):
        path.symlink_to(target)
        yield f"{suffix}: {name}", path
        path.unlink()
