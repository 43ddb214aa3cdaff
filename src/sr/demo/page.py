"""What the buttons of the demo do."""

import base64
import html
import logging
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from sr import load
from sr.demo.choices import find_boards, find_models
from sr.errors import UserError
from sr.image import to_float
from sr.inference.enlarger import Enlarger
from sr.io.pictures import Picture, read_picture
from sr.metrics import score
from sr.report import figures
from sr.report.board import leaderboard
from sr.report.folders import Run, find_runs
from sr.weights import zoo
from sr.weights.find import Model

log = logging.getLogger(__name__)
MAX_PIXELS = 4_000_000  # of an uploaded picture
MAX_UPLOAD = 20_000_000  # bytes
KEPT_SECONDS = 3600  # uploads and results
_KEPT_BYTES = 4_000_000_000
BOARD_COLUMNS = ("run", "verdict", "PSNR dB", "SSIM", "gain dB", "95 % interval")


class Page:
    """What the page's buttons do; it knows models and boards by their labels only."""

    def __init__(self, runs: Path, max_pixels: int = MAX_PIXELS, device: str | None = None) -> None:
        """Look for models and boards.

        Raises:
            UserError: if there is no model.
        """
        self.models, self.boards = find_models(runs), find_boards(runs)
        self.max_pixels, self.device = max_pixels, device
        if not self.models:
            raise UserError(f"{runs}: no trained model in it: train one, or name the folder of your runs with --runs")
        self._load = lru_cache(maxsize=4)(self._load_anew)
        self.folder = Path(tempfile.mkdtemp(prefix="sr-demo-")).resolve()
        self._tidying = threading.Lock()

    def _load_anew(self, label: str) -> Enlarger:
        name, scale = self.models[label]
        return load(name, scale, device=self.device)

    def enlarge(self, label: str, source: str | None, target: str | None) -> tuple[tuple[str, str], str, str]:
        """Enlarge an uploaded file.

        Args:
            label: of a model.
            source: path of the upload.
            target: path of a picture to compare with, of the result's size.

        Returns:
            Paths of the bicubic image and of the result, the latter's path again, and what there is to say.

        Raises:
            UserError: for an unknown model, and for uploads that cannot be used.
        """
        if not isinstance(label, str) or label not in self.models:
            raise UserError("there is no such model in the list")
        if not source:
            raise UserError("choose a picture first")
        self.tidy()
        picture = self._read(source, "the picture", self.max_pixels)
        enlarger = self._load(label)
        factor = enlarger.scale
        hr = self._read(target, "the target", self.max_pixels * factor**2) if target else None
        height, width = picture.pixels.shape[:2]
        if hr and hr.pixels.shape[:2] != (height * factor, width * factor):
            raise UserError(f"the target has to have the size of the result, {width * factor}x{height * factor} pixels")
        begun = time.perf_counter()
        big = self._write(picture, enlarger, "enlarged")
        seconds = time.perf_counter() - begun
        bicubic = self._write(picture, Enlarger(Model("bicubic", enlarger.scale), device=self.device), "bicubic")
        lines = [f"{width} x {height} to {width * factor} x {height * factor} in {seconds:.2f} s on {enlarger.device}"]
        lines += [picture.note] if picture.note else []
        if hr:
            lines += self._scores(hr, {"bicubic": bicubic, label: big}, factor)
        return (bicubic, big), big, "\n\n".join(html.escape(line) for line in lines)

    def tidy(self) -> None:
        """Remove what was made or uploaded more than an hour ago, and the oldest of what takes too much room."""
        with self._tidying:
            found = sorted(map(_age_and_size, self.folder.iterdir()), reverse=True)
            held = 0
            for changed, size, path in found:
                held += size
                if changed < time.time() - KEPT_SECONDS or held > _KEPT_BYTES:
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:  # an upload whose sender hung up
                        path.unlink(missing_ok=True)

    def _read(self, path: str, name: str, most: int) -> Picture:
        if not Path(path).is_file():
            raise UserError(f"{name} is no longer there: upload it again")
        if Path(path).stat().st_size > MAX_UPLOAD:
            raise UserError(f"{name} has more than {MAX_UPLOAD // 1_000_000} MB")
        return read_picture(Path(path), name, most)

    def uploaded(self, value: Any) -> str | None:
        """Path of a file that was uploaded here, from what a browser says of it; None for nothing.

        Raises:
            UserError: for any other file.
        """
        if value is None:
            return None
        path = value.get("path") if isinstance(value, dict) else None
        with suppress(OSError, ValueError):
            if isinstance(path, str) and Path(path).resolve().is_relative_to(self.folder):
                return path
        raise UserError("there is no such upload")

    def _write(self, picture: Picture, enlarger: Enlarger, name: str) -> str:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        path = folder / f"{name}_x{enlarger.scale}.png"
        with path.open("wb") as file:
            enlarger.write(picture, file, ".png")
        return str(path)

    def _scores(self, target: Picture, made: dict[str, str], scale: int) -> list[str]:
        """PSNR and SSIM of results under both protocols."""
        hr = _rgb(target)
        lines = []
        for name, path in made.items():
            sr = _rgb(read_picture(Path(path), name, self.max_pixels * scale**2))
            for protocol in ("y", "rgb"):
                found = score(sr, hr, protocol, scale)
                lines.append(f"{name}, {protocol}: PSNR {float(found['psnr']):.2f} dB, SSIM {float(found['ssim']):.4f}")
        return lines

    def curves(self, label: str) -> str:
        """The training curves of a run as HTML, the band over its folds."""
        if not isinstance(label, str) or label not in self.models:
            raise UserError("there is no such model in the list")
        name, _ = self.models[label]
        if not Path(name).is_dir():
            about = next(entry.about for entry in zoo.entries() if entry.name == name)
            return f"<p>It ships without its curves. Trained by <code>{html.escape(about['command'])}</code></p>"
        runs = [run for comparison in find_runs(Path(name)).comparisons for run in comparison.runs]
        return _image(figures.curves(_cells(runs)))

    def board(self, label: str) -> tuple[list[list[str]], str]:
        """Rows of a folder's leaderboard, and the heat map of its gains as HTML."""
        if not isinstance(label, str) or label not in self.boards:
            raise UserError("there is no such folder in the list")
        rows, plots = [], []
        for comparison in find_runs(self.boards[label]).comparisons:
            rows += [
                [
                    row.name,
                    row.verdict,
                    f"{row.psnr[0]:.2f}",
                    f"{row.ssim[0]:.4f}",
                    f"{row.gain[0]:+.2f}",
                    f"{row.interval[0]:+.2f} to {row.interval[1]:+.2f}",
                ]
                for row in leaderboard(comparison)
            ]
            if len(comparison.runs) > 1:
                plots.append(_image(figures.heat_map(_cells(comparison.runs))))
        return rows, "".join(plots)

    def close(self) -> None:
        """Remove what was made."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _age_and_size(path: Path) -> tuple[float, int, Path]:
    """When a file, or the newest file in a folder, was changed; the bytes held; and the path."""
    changed, size = 0.0, 0
    for one in (path, *path.glob("*")):
        with suppress(FileNotFoundError):
            about = one.stat()
            changed, size = max(changed, about.st_mtime), size + about.st_size
    return changed, size, path


def _rgb(picture: Picture) -> torch.Tensor:
    """``(1, 3, H, W)`` in [0, 1], alpha left out."""
    pixels = picture.pixels[..., :1].repeat(3, axis=2) if picture.gray else picture.pixels[..., :3]
    return to_float(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])


def _cells(runs: list[Run]) -> dict[tuple[str, ...], list[Run]]:
    cells: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        cells.setdefault(run.levels, []).append(run)
    return cells


def _image(svg: str) -> str:
    return f'<img alt="plot" src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}">'
