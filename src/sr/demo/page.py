"""What the buttons of the demo do."""

import html
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from sr import load
from sr.demo.choices import find_boards, find_models
from sr.demo.uploads import MAX_UPLOAD, UploadFolder
from sr.errors import UserError
from sr.image import to_float
from sr.inference.enlarger import Enlarger
from sr.io.pictures import Picture, read_picture
from sr.metrics import score
from sr.report import figures
from sr.report.analysis import analyse
from sr.report.board import leaderboard
from sr.report.comparison import find_comparisons
from sr.report.formats import data_uri, interval
from sr.terms import BASELINES, SHARPENS, Protocol
from sr.weights import zoo
from sr.weights.find import Model

MAX_PIXELS = 4_000_000  # of an uploaded picture
_BASELINE = BASELINES[0]


class Page:
    """Answers the buttons of the page, which know models and leaderboards by their labels only."""

    def __init__(
        self, runs: Path, max_pixels: int = MAX_PIXELS, device: str | None = None, models: Sequence[str] = ()
    ) -> None:
        """Find the models and leaderboards to offer.

        Args:
            runs: folder of trained runs.
            max_pixels: most pixels of an uploaded picture.
            device: where models run; None chooses.
            models: more models, by their names or paths.

        Raises:
            UserError: if there is no model.
        """
        self.models, self.boards = find_models(runs, models), find_boards(runs)
        self.max_pixels, self.device = max_pixels, device
        if not self.models:
            raise UserError(f"{runs}: no trained model in it: train one, or name the folder of your runs with --runs")
        self._load = lru_cache(maxsize=4)(self._load_model)
        self.uploads = UploadFolder()

    def enlarge(self, label: str, source: str | None, target: str | None) -> tuple[tuple[str, str], str, str]:
        """Enlarge an uploaded picture.

        Args:
            label: label of a model.
            source: path of the uploaded picture.
            target: path of an uploaded picture of the size of the result, to compare with; or None.

        Returns:
            Paths of the bicubic image (at scale 1 of the input) and of the result; the path of the result again; size,
            time and scores as HTML.

        Raises:
            UserError: for an unknown model, and for uploads that cannot be used.
        """
        self._check(label)
        if not source:
            raise UserError("choose a picture first")
        self.uploads.tidy()
        picture = self._read(source, "the picture", self.max_pixels)
        enlarger = self._load(label)
        scale = enlarger.scale
        hr = self._read(target, "the target", self.max_pixels * scale**2) if target else None
        height, width = picture.pixels.shape[:2]
        if hr and hr.pixels.shape[:2] != (height * scale, width * scale):
            raise UserError(f"the target must have the size of the result, {width * scale}x{height * scale} pixels")
        start = time.perf_counter()
        result = self._write(picture, enlarger, "enlarged")
        seconds = time.perf_counter() - start
        baseline = _BASELINE.name_at(scale)
        before = self._write(picture, Enlarger(Model(_BASELINE.kernel, scale), device=self.device), baseline)
        lines = [f"{width} x {height} to {width * scale} x {height * scale} in {seconds:.2f} s on {enlarger.device}"]
        lines += [f"{SHARPENS}; on the left is the input"] if scale == 1 else []
        lines += [picture.note] if picture.note else []
        if hr:
            lines += self._scores(hr, {baseline: before, label: result}, scale)
        return (before, result), result, "\n\n".join(html.escape(line) for line in lines)

    def curves(self, label: str) -> str:
        """Learning curves of a run as HTML."""
        self._check(label)
        name, _ = self.models[label]
        if not Path(name).is_dir():
            about = next(entry.about for entry in zoo.entries() if entry.name == name)
            command = html.escape(about["command"])
            return f"<p>This model ships without its learning curves. It was trained by <code>{command}</code></p>"
        return "".join(
            _image(figures.curves(comparison.configurations))
            for comparison in find_comparisons([Path(name)]).comparisons
        )

    def board(self, label: str) -> tuple[dict[str, list[Any]], str]:
        """The leaderboards of a folder as ``headers`` and ``data``, and the heat maps of its gains as HTML.

        A metric that some of them lack is an empty cell there.
        """
        if not isinstance(label, str) or label not in self.boards:
            raise UserError("there is no such folder in the list")
        rows, plots = [], []
        comparisons = find_comparisons([self.boards[label]]).comparisons
        metrics = {name: info for comparison in comparisons for name, info in comparison.metrics.items()}
        for comparison in comparisons:
            analysis = analyse(comparison)
            for row in leaderboard(analysis):
                means = [(row.scores.get(name), info) for name, info in metrics.items()]
                cells = [f"{summary.mean:.{info.digits}f}" if summary else "" for summary, info in means]
                gain = (f"{row.gain.mean:+.2f}", interval(row.gain.interval))
                rows.append([row.name, row.verdict, *cells, *gain])
            if len(comparison.configurations) > 1:
                plots.append(_image(figures.heat_map(analysis)))
        headings = [info.heading for info in metrics.values()]
        headers = ["configuration", "verdict", *headings, "gain dB", "95 % interval"]
        return {"headers": headers, "data": rows}, "".join(plots)

    def close(self) -> None:
        """Remove all uploads and results."""
        self.uploads.close()

    def _check(self, label: Any) -> None:
        if not isinstance(label, str) or label not in self.models:
            raise UserError("there is no such model in the list")

    def _load_model(self, label: str) -> Enlarger:
        name, scale = self.models[label]
        return load(name, scale, device=self.device)

    def _read(self, path: str, name: str, max_pixels: int) -> Picture:
        if not Path(path).is_file():
            raise UserError(f"{name} is no longer there: upload it again")
        if Path(path).stat().st_size > MAX_UPLOAD:
            raise UserError(f"{name} has more than {MAX_UPLOAD // 1_000_000} MB")
        return read_picture(Path(path), name, max_pixels)

    def _write(self, picture: Picture, enlarger: Enlarger, name: str) -> str:
        path = self.uploads.new_file(f"{name}_x{enlarger.scale}.png")
        with path.open("wb") as file:
            enlarger.write(picture, file, ".png")
        return str(path)

    def _scores(self, target: Picture, results: dict[str, str], scale: int) -> list[str]:
        """PSNR and SSIM of results under both protocols, a line each."""
        hr = _rgb(target)
        lines = []
        for name, path in results.items():
            sr = _rgb(read_picture(Path(path), name, self.max_pixels * scale**2))
            for protocol in (Protocol.Y, Protocol.RGB):
                scores = score(sr, hr, protocol, scale)
                psnr, ssim = float(scores["psnr"]), float(scores["ssim"])
                lines.append(f"{name}, {protocol}: PSNR {psnr:.2f} dB, SSIM {ssim:.4f}")
        return lines


def _rgb(picture: Picture) -> torch.Tensor:
    """``(1, 3, H, W)`` in [0, 1], alpha left out."""
    pixels = picture.pixels[..., :1].repeat(3, axis=2) if picture.gray else picture.pixels[..., :3]
    return to_float(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])


def _image(svg: str) -> str:
    return f'<img alt="plot" src="{data_uri(svg)}">'
