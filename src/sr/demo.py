"""The command ``sr demo``: a page in the browser that enlarges pictures and shows what was trained."""

import base64
import html
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from sr import load, zoo
from sr.enlarger import Enlarger
from sr.errors import UserError
from sr.guard import Guard
from sr.hardware import precision
from sr.image import to_float
from sr.metrics import score
from sr.models import Model
from sr.picture import Picture, read_picture
from sr.report import figures
from sr.report.board import leaderboard
from sr.report.runs import Run, find_runs
from sr.result import read_result

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # nothing is sent anywhere

log = logging.getLogger(__name__)

MAX_PIXELS = 4_000_000  # of an uploaded picture
MAX_UPLOAD = 20_000_000  # bytes
_WAITING = 32  # requests; more are turned away
_KEPT_SECONDS = 3600  # uploads and results
_KEPT_BYTES = 4_000_000_000
_BOARD = ("run", "verdict", "PSNR dB", "SSIM", "gain dB", "95 % interval")

Choices = dict[str, tuple[str, int]]  # label: name for sr.load, factor


def find_models(runs: Path) -> Choices:
    """The networks that ship with sr, then the trained runs below a folder, newest first."""
    found: Choices = {}
    for entry in zoo.entries():
        scales = entry.about["scales"]
        for scale in scales:
            found[entry.name if len(scales) == 1 else f"{entry.name}, x{scale}"] = (entry.name, scale)
    checkpoints = sorted(runs.rglob("checkpoints/best.ckpt"), key=lambda path: -path.stat().st_mtime)
    for folder in dict.fromkeys(_run_of(path) for path in checkpoints):
        result = read_result(folder) or {}
        config = result.get("config", {})
        scales = config.get("data", {}).get("scales") or [config.get("scale", 1)]
        for scale in scales:
            label = str(folder.relative_to(runs)) if folder != runs else folder.resolve().name
            found[label if len(scales) == 1 else f"{label}, x{scale}"] = (str(folder), scale)
    return found


def find_boards(runs: Path) -> dict[str, Path]:
    """Folders below a folder that hold several finished runs."""
    inside: dict[Path, int] = {}
    for result in sorted(runs.rglob("result.json")):
        if not result.parent.name.startswith("fold_"):
            inside[result.parents[1]] = inside.get(result.parents[1], 0) + 1
    return {str(folder): folder for folder, count in sorted(inside.items()) if count > 1}


def _run_of(checkpoint: Path) -> Path:
    run = checkpoint.parents[1]
    return run.parent if run.name.startswith("fold_") else run


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
                if changed < time.time() - _KEPT_SECONDS or held > _KEPT_BYTES:
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


def build(page: Page) -> Any:
    """The page as Gradio blocks."""
    # Else all of Gradio's pages on a machine share a folder; read when Gradio is imported, and again for each request.
    os.environ["GRADIO_TEMP_DIR"] = str(page.folder)
    import gradio as gr

    def shown(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any) -> Any:
            try:
                return function(*values)
            except UserError as error:
                raise gr.Error(str(error), print_exception=False) from error
            except Exception as error:
                log.exception("a request failed")
                raise gr.Error("something went wrong; the log says what", print_exception=False) from error

        return call

    def enlarge(label: Any, source: Any, target: Any) -> tuple[tuple[str, str], str, str]:
        return page.enlarge(label, page.uploaded(source), page.uploaded(target))

    with gr.Blocks(title="sr", analytics_enabled=False, delete_cache=(_KEPT_SECONDS, _KEPT_SECONDS)) as blocks:
        gr.Markdown("# sr\nEnlarge a picture with a trained model, next to bicubic.")
        with gr.Tab("Enlarge"), gr.Row():
            with gr.Column(scale=1):
                model = gr.Dropdown(list(page.models), label="Model", elem_id="model")
                source = gr.Image(
                    type="filepath", image_mode=None, sources=["upload"], label="Picture", elem_id="picture"
                )
                target = gr.Image(
                    type="filepath", image_mode=None, sources=["upload"], label="Target (optional)", elem_id="target"
                )
                button = gr.Button("Enlarge", variant="primary", elem_id="enlarge")
                metrics = gr.Button("Show training metrics", elem_id="metrics")
            with gr.Column(scale=2):
                slider = gr.ImageSlider(
                    type="filepath", image_mode=None, format="png", label="bicubic | model", elem_id="slider"
                )
                facts = gr.Markdown(elem_id="facts")
                file = gr.File(label="Result", elem_id="result")
                plot = gr.HTML(elem_id="curves")
        # Not preprocessed: Gradio would open files before it is known whose they are, and answer in its own words.
        button.click(
            shown(enlarge), [model, source, target], [slider, file, facts], concurrency_id="enlarge", preprocess=False
        )
        metrics.click(shown(page.curves), model, plot, preprocess=False)
        if page.boards:
            with gr.Tab("Leaderboard"):
                folder = gr.Dropdown(list(page.boards), label="Folder", elem_id="folder", value=None)
                table = gr.Dataframe(headers=list(_BOARD), interactive=False, elem_id="board")
                heat = gr.HTML(elem_id="heat")
                folder.change(shown(page.board), folder, [table, heat], preprocess=False)
    return blocks.queue(max_size=_WAITING, default_concurrency_limit=1)


def launch(page: Page, host: str, port: int | None, *, share: bool = False) -> tuple[Any, str]:
    """Open a page; its blocks and its address."""
    from starlette.middleware import Middleware

    blocks = build(page)
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=True,
        quiet=True,
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        show_error=False,  # but for gr.Error, whose words are ours
        footer_links=[],
        app_kwargs={"middleware": [Middleware(Guard, max_upload=MAX_UPLOAD, tidy=page.tidy)]},
    )
    return blocks, address


def serve(runs: Path, host: str, port: int, *, share: bool, device: str | None, max_pixels: int = MAX_PIXELS) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Raises:
        UserError: if Gradio is missing, there is no model, or the port is taken.
    """
    if not find_spec("gradio"):
        raise UserError("sr demo needs Gradio: pip install 'sr[demo]'")
    page = Page(runs, max_pixels, device)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    precision("auto")  # what it measures once on a machine is not measured while a visitor waits
    tempfile.tempdir = str(page.folder)  # where some versions of Gradio leave halves of uploads
    try:
        blocks, address = launch(page, host, port, share=share)
        public = f", for everybody {blocks.share_url or 'nowhere: no address could be had'}" if share else ""
        sys.stdout.write(f"{address}{public} (Ctrl-C ends)\n")
        sys.stdout.flush()
        blocks.block_thread()
    except OSError as error:
        raise UserError(f"--port {port}: cannot be used ({error}): choose another") from error
    finally:
        tempfile.tempdir = None
        page.close()


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
