"""What has been written into a folder, from what and how, so that ``sr predict --resume`` knows what is done.

``.sr_predict.jsonl`` holds a line for each finished output, written before the complete file gets its name: a kill
leaves at most a line without its output, or beside an older one, whose time is another.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeAlias

from sr.inference.pictures import PictureEnlarger
from sr.weights.model import Model

NAME = ".sr_predict.jsonl"
OTHER_INPUT = "it was made from another version of its input"

Record: TypeAlias = Callable[[Path, IO[bytes]], None]  # called with each complete output before it gets its name

_CLOCK = 2 * 10**9  # nanoseconds: FAT keeps times to two seconds
_LENGTH = 16  # hexadecimal digits of a key


class Records:
    """The outputs in a folder, by name; in memory alone if it is not ``kept``."""

    def __init__(self, folder: Path, *, kept: bool) -> None:
        """Read what is recorded; damaged lines, as a kill leaves them, are skipped."""
        self._folder, self.kept = folder, kept
        self._records: dict[str, dict[str, Any]] = {}
        self._ends_in_line = True
        path = folder / NAME
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        for line in text.splitlines():
            try:
                record = json.loads(line)
                self._records[record["output"]] = record
            except (ValueError, KeyError, TypeError):
                continue
        self._ends_in_line = not text or text.endswith("\n")

    def __contains__(self, path: object) -> bool:
        """Whether a file was written by an earlier run."""
        return isinstance(path, Path) and self._name(path) in self._records

    def why_not_done(self, target: Path, source: Path | None, made_by: str) -> str:
        """Why an output that exists does not count as done; empty if it does.

        Args:
            target: the output.
            source: its input.
            made_by: see `key`.
        """
        record = self._records.get(self._name(target))
        if record is None:
            return "nothing says how it was made"
        if record.get("made_by") != made_by:
            return "it was made by another model or with other options"
        if record.get("source") != (identity := _identity(source)):
            return (
                OTHER_INPUT if record.get("source", identity)[:1] == identity[:1] else "it was made from another file"
            )
        status = target.stat()
        is_same_time = abs(record.get("time", status.st_mtime_ns) - status.st_mtime_ns) <= _CLOCK
        return "" if is_same_time and record.get("bytes") == status.st_size else "it was changed since"

    def add(self, target: Path, file: IO[bytes], source: Path | None, made_by: str) -> None:
        """Record an output that is complete, but does not have its name yet.

        Args:
            target: the name.
            file: the output, open for writing.
            source: its input.
            made_by: see `key`.
        """
        file.flush()
        status, name = os.fstat(file.fileno()), self._name(target)
        about = {"bytes": status.st_size, "time": status.st_mtime_ns}
        record = {"output": name, "source": _identity(source), "made_by": made_by, **about}
        self._records[name] = record
        if self.kept:
            with (self._folder / NAME).open("a", encoding="utf-8") as lines:
                lines.write(("" if self._ends_in_line else "\n") + json.dumps(record) + "\n")
                lines.flush()
                os.fsync(lines.fileno())
            self._ends_in_line = True

    def _name(self, target: Path) -> str:
        return Path(os.path.relpath(target.absolute(), self._folder.absolute())).as_posix()


def how_onnx_runs(model: Model) -> list[list[object]]:
    """What runs each ONNX network of a model, and what the user says of it; empty for other models."""
    nets: list[Any] = [net for net in model.nets if hasattr(net, "provider")]
    return [[net.provider.lower(), vars(net.hints) if hasattr(net, "hints") else {}] for net in nets]


def key(enlarger: PictureEnlarger, **settings: object) -> str:
    """What distinguishes the outputs of a model and its options from those of others."""
    digest = hashlib.sha256()
    for net in enlarger.model.nets:
        _add_tensors(digest, net)
    weights = enlarger.model.weights_hash or enlarger.model.label  # ONNX networks have no tensors
    settings |= {"onnx": onnx} if (onnx := how_onnx_runs(enlarger.model)) else {}
    options = {"ensemble": enlarger.ensemble, "wrap": enlarger.wrap, "precision": enlarger.precision, **settings}
    digest.update(json.dumps([weights, enlarger.scale, options], sort_keys=True, default=str).encode())
    return digest.hexdigest()[:_LENGTH]


def _add_tensors(digest: Any, net: Any) -> None:
    """Hash the weights of a network of torch; those of ONNX have no tensors."""
    if not hasattr(net, "state_dict"):
        return
    import torch

    for name, tensor in net.state_dict().items():
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
        digest.update(array.flatten().view(dtype=torch.uint8).numpy().tobytes() if array.numel() else b"")


def _identity(source: Path | None) -> list[object]:
    """Name, size and time of an input; standard input is never the same."""
    if source is None:
        return [os.getpid(), os.times().elapsed]
    status = source.stat()
    return [str(source.absolute()), status.st_size, status.st_mtime_ns]
