"""What the controls of the demo do."""

import html
import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from sr import load
from sr.demo.choices import find_boards, find_models
from sr.demo.examples import example_names, write_example
from sr.demo.faults import FaultError, Place, shown_at
from sr.demo.scores import Timed, facts
from sr.demo.uploads import MAX_UPLOAD, UploadFolder
from sr.errors import UserError
from sr.inference.enlarger import Enlarger
from sr.io.pictures import Picture, read_picture
from sr.metrics.structure import WINDOW
from sr.report import figures
from sr.report.analysis import analyse
from sr.report.board import leaderboard
from sr.report.comparison import find_comparisons
from sr.report.formats import data_uri, interval
from sr.runs.best import model_path
from sr.terms import BASELINES
from sr.weights import zoo
from sr.weights.find import checkpoints_of
from sr.weights.model import Model

log = logging.getLogger(__name__)

MAX_PIXELS = 4_000_000  # of an uploaded picture
MAX_MODELS = 4  # on one picture
_BASELINE = BASELINES[0]
_LONGEST_STEM = 100  # characters of a file's name
_NOT_IN_NAMES = re.compile(r"[^\w.-]+", re.ASCII)
_Version: TypeAlias = tuple[tuple[str, int, int], ...]
_REFRESH_SECONDS = 2.0  # however many visitors ask, the folder is searched once in that time


@dataclass(frozen=True)
class Enlarged:
    """What a picture became.

    Attributes:
        images: paths by name: bicubic (at scale 1 the input), each model, and the target if there is one.
        models: the names of those that models made.
        facts: sizes, times and scores as HTML.
    """

    images: dict[str, str]
    models: list[str]
    facts: str


class Page:
    """Answers the controls of the page, which know models and leaderboards by their labels only."""

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
        self.runs, self._names = runs, models
        self.models, self.boards = find_models(runs, models), find_boards(runs)
        self.max_pixels, self.device = max_pixels, device
        if not self.models:
            raise UserError(f"{runs}: no trained model in it: train one, or name the folder of your runs with --runs")
        self._load: Callable[[str, int, _Version], Enlarger] = lru_cache(maxsize=MAX_MODELS)(self._load_model)
        self._refreshing, self._refreshed = threading.Lock(), time.monotonic()
        self.uploads = UploadFolder()

    def refresh(self) -> None:
        """Find the models and leaderboards that there are by now."""
        with self._refreshing:
            if time.monotonic() - self._refreshed < _REFRESH_SECONDS:
                return
            try:
                self.models, self.boards = find_models(self.runs, self._names) or self.models, find_boards(self.runs)
            except UserError as error:  # such as a file that was deleted: what is known still stands
                log.warning("the lists are not refreshed: %s", error)
            self._refreshed = time.monotonic()

    @property
    def model_choices(self) -> list[tuple[str, str]]:
        """What the list of models shows, and its labels."""
        return [(f"{label} (sharpens)" if scale == 1 else label, label) for label, (_, scale) in self.models.items()]

    def sharpens(self, labels: Any) -> bool:
        """Whether all chosen models keep the size of a picture."""
        known = labels if isinstance(labels, list) else []
        scales = {self.models[label][1] for label in known if isinstance(label, str) and label in self.models}
        return scales == {1}

    def example(self, name: str) -> str:
        """Path of an example as if it had been uploaded."""
        if name not in example_names():
            raise FaultError(Place.PICTURE, "there is no such example")
        self.uploads.tidy()
        path = self.uploads.new_file(f"{name}.png")
        write_example(name, path)
        return str(path)

    def enlarge(self, labels: Any, source: str | None, target: str | None) -> Enlarged:
        """Enlarge an uploaded picture with some models.

        Args:
            labels: labels of models of one scale.
            source: path of the uploaded picture.
            target: path of an uploaded picture of the size of the result, to compare with; or None.

        Raises:
            FaultError: for unknown models, and for uploads that cannot be used.
        """
        names = self._check(labels)
        if not source:
            raise FaultError(Place.PICTURE, "choose a picture first, or click an example")
        self.uploads.tidy()
        picture = self._read(source, Place.PICTURE, self.max_pixels)
        with shown_at(Place.MODELS):
            enlargers = {label: self._enlarger(label) for label in names}
        scale = self.models[names[0]][1]
        hr = self._read(target, Place.TARGET, self.max_pixels * scale**2) if target else None
        height, width = picture.pixels.shape[:2]
        if hr and hr.pixels.shape[:2] != (height * scale, width * scale):
            raise FaultError(
                Place.TARGET,
                f"the target must have the size of the result, {width * scale} x {height * scale} pixels: "
                "remove it, or upload another",
            )
        if hr and min(height, width) * scale - 2 * scale < WINDOW:  # the border that protocol y cuts
            least = WINDOW + 2 * scale
            raise FaultError(
                Place.TARGET, f"the target has less than {least} pixels a side, too few to be scored: remove it"
            )
        baseline = _unlike(_BASELINE.name_at(scale), names)
        rows = [self._timed(picture, Enlarger(Model(_BASELINE.kernel, scale), device=self.device), baseline)]
        with shown_at(Place.MODELS):
            rows += [self._timed(picture, enlarger, label) for label, enlarger in enlargers.items()]
        images = {row.name: row.path for row in rows}
        if hr:
            original = self._timed(hr, Enlarger(Model(_BASELINE.kernel, 1), device="cpu"), "target")
            images[_unlike("target", names)] = original.path
        device = str(next(iter(enlargers.values())).device)
        return Enlarged(images, names, facts(picture, hr, rows, scale, device))

    def pair(self, left: Any, right: Any) -> tuple[str, str]:
        """The two results that the slider shows.

        Raises:
            FaultError: for anything but results that are still there.
        """
        with shown_at(Place.BUTTON):
            return self.uploads.result(left), self.uploads.result(right)

    def curves(self, labels: Any) -> str:
        """Learning curves of some runs as HTML."""
        return "".join(self._curves(label) for label in self._check(labels, of_one_scale=False))

    def _curves(self, label: str) -> str:
        name, _ = self.models[label]
        heading = f"<h3>{html.escape(label)}</h3>"
        shipped = {entry.name: entry.about["command"] for entry in zoo.entries()}
        if name in shipped:
            command = html.escape(shipped[name])
            text = f"<p>This model ships without its learning curves. It was trained by <code>{command}</code></p>"
            return heading + text
        with shown_at(Place.MODELS):
            comparisons = find_comparisons([Path(name)]).comparisons if Path(name).is_dir() else []
        plots = [
            _image(figures.curves(comparison.configurations), f"learning curves of {label}")
            for comparison in comparisons
        ]
        return heading + ("".join(plots) or "<p>There are no learning curves of this model.</p>")

    def board(self, label: str) -> tuple[dict[str, list[Any]], str]:
        """The leaderboards of a folder as ``headers`` and ``data``, and the heat maps of its gains as HTML.

        A metric that some of them lack is an empty cell there.

        Raises:
            FaultError: for an unknown folder, and for one without finished runs.
        """
        if not isinstance(label, str) or label not in self.boards:
            raise FaultError(Place.FOLDER, "there is no such folder in the list: refresh it, and choose again")
        rows, plots = [], []
        with shown_at(Place.FOLDER):
            comparisons = find_comparisons([self.boards[label]]).comparisons
        if not comparisons:
            raise FaultError(
                Place.FOLDER, f"no run in {label} is finished yet: its leaderboard appears with the first one"
            )
        metrics = {name: info for comparison in comparisons for name, info in comparison.metrics.items()}
        for comparison in comparisons:
            analysis = analyse(comparison)
            for row in leaderboard(analysis):
                means = [(row.scores.get(name), info) for name, info in metrics.items()]
                cells = [f"{summary.mean:.{info.digits}f}" if summary else "" for summary, info in means]
                gain = (f"{row.gain.mean:+.2f}", interval(row.gain.interval))
                rows.append([row.name, row.verdict, *cells, *gain])
            if len(comparison.configurations) > 1:
                plots.append(_image(figures.heat_map(analysis), f"gains of the runs in {label}"))
        headings = [info.heading for info in metrics.values()]
        headers = ["configuration", "verdict", *headings, "gain dB", "95 % interval"]
        return {"headers": headers, "data": rows}, "".join(plots)

    def close(self) -> None:
        """Remove all uploads and results."""
        self.uploads.close()

    def _check(self, labels: Any, *, of_one_scale: bool = True) -> list[str]:
        """The chosen labels.

        Raises:
            FaultError: for none, too many, unknown ones, and models of several scales.
        """
        if labels is None or labels == []:
            raise FaultError(Place.MODELS, "choose a model first")
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise FaultError(Place.MODELS, "there is no such model in the list")
        if any(label not in self.models for label in labels):
            self.refresh()
        if any(label not in self.models for label in labels):
            raise FaultError(Place.MODELS, "there is no such model in the list: refresh it, and choose again")
        names = list(dict.fromkeys(labels))
        if len(names) > MAX_MODELS:
            raise FaultError(Place.MODELS, f"choose at most {MAX_MODELS} models, not {len(names)}")
        scales = {label: self.models[label][1] for label in names}
        if of_one_scale and len(set(scales.values())) > 1:
            listed = ", ".join(f"{label} x{scale}" for label, scale in scales.items())
            raise FaultError(Place.MODELS, f"choose models of one scale, whose results can be compared, not {listed}")
        return names

    def _enlarger(self, label: str) -> Enlarger:
        name, scale = self.models[label]
        return self._load(name, scale, _version(name))

    def _load_model(self, name: str, scale: int, _version: _Version) -> Enlarger:
        return load(name, scale, device=self.device)

    def _read(self, path: str, place: Place, max_pixels: int) -> Picture:
        name = f"the {place}"
        if not Path(path).is_file():
            raise FaultError(place, f"{name} is no longer there: upload it again")
        if Path(path).stat().st_size > MAX_UPLOAD:
            raise FaultError(place, f"{name} has more than {MAX_UPLOAD // 1_000_000} MB")
        with shown_at(place, name):
            return read_picture(Path(path), name, max_pixels)

    def _timed(self, picture: Picture, enlarger: Enlarger, name: str) -> Timed:
        stem = _NOT_IN_NAMES.sub("_", name)[-_LONGEST_STEM:]
        path = self.uploads.new_result(f"{stem}_x{enlarger.scale}.png")
        start = time.perf_counter()
        with path.open("wb") as file:
            enlarger.write(picture, file, ".png")
        return Timed(name, str(path), time.perf_counter() - start)


def _version(name: str) -> _Version:
    """What tells the weights of a model from those that replace them: their files, when and how large they are."""
    stats = [(file, file.stat()) for file in checkpoints_of(model_path(name, quiet=True))]
    return tuple((str(file), stat.st_mtime_ns, stat.st_size) for file, stat in stats)


def _unlike(name: str, labels: Sequence[str]) -> str:
    """A name that no model has."""
    return f"the {name}" if name in labels else name


def _image(svg: str, text: str) -> str:
    return f'<img alt="{html.escape(text)}" src="{data_uri(svg)}">'
