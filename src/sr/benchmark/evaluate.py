"""Score models, and always the bicubic image, on folders of images under a named protocol."""

import json
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.progress import track
from torch import Tensor

from sr.data.pairs import load_pair
from sr.data.sources import Source, image_folder
from sr.errors import UserError, check_at_least, check_choice
from sr.image import resize, to_float, to_uint8
from sr.inference.tiles import enlarge
from sr.io.atomic import whole_file, write_text
from sr.io.images import is_gray, to_pil
from sr.io.tables import aligned, write_table
from sr.metrics import score
from sr.terms import Protocol
from sr.weights.find import Model

BASELINES = ("bicubic", "nearest", "lanczos")
BASELINE = BASELINES[0]  # the row that every table has

_EVALUATIONS = "evaluations"  # folder in a run's, where the report looks
_SHRINK = 2  # of the origin's task, scale 1
_QUIET_BELOW = 20  # images


@dataclass
class Row:
    """Scores of a model on a folder; means over images of ``(name, PSNR in dB, SSIM, milliseconds)``."""

    model: Model
    data: str
    scale: int
    protocol: str
    ensemble: bool = False
    images: list[tuple[str, float, float, float]] = field(default_factory=list)

    def mean(self, column: int) -> float:
        """Mean over images of column 1, 2 or 3."""
        return statistics.fmean(float(image[column]) for image in self.images)

    def as_dict(self) -> dict[str, Any]:
        """The row as plain values."""
        return {
            "model": self.model.label + (" + x8" if self.ensemble else ""),
            "data": self.data,
            "scale": self.scale,
            "protocol": self.protocol,
            "psnr": self.mean(1),
            "ssim": self.mean(2),
            "images": len(self.images),
            "ms_per_image": self.mean(3),
        }


def evaluate(
    models: Sequence[Model],
    data: Sequence[Path],
    *,
    scale: int,
    protocol: str = "y",
    ensemble: bool = False,
    save: Path | None = None,
    baselines: Sequence[str] = (BASELINE,),
) -> Iterator[Row]:
    """Score every model on every folder, images one by one, the baselines first.

    Low resolution is taken from ``low_res/`` or derived from each whole image and rounded to 8 bits, so that every
    model sees what a file would hold; under ``y`` the published bicubic rows, made without that rounding, lie within
    0.03 dB (`sr.benchmark.selftest` makes them as published).

    Args:
        models: of this scale.
        data: folders, plain or with ``high_res/``.
        scale: factor of the sides; ``y`` cuts as many pixels from each border.
        protocol: ``y`` or ``rgb``, see `sr.metrics.score`.
        ensemble: see `sr.inference.tiles.enlarge`.
        save: folder that gets the outputs as ``MODEL/DATA/NAME.png``.
        baselines: kernels of `sr.image.resize` to score beside the models.

    Yields:
        A row for each model on a folder, as soon as the folder is done.

    Raises:
        UserError: for a folder, image or pair that cannot be used.
    """
    check_at_least("--scale", scale, 1)
    check_choice("--protocol", protocol, [*Protocol])
    everyone = [*(Model(kernel, scale) for kernel in baselines), *models]
    for folder, label in zip(data, _labels(data), strict=True):
        sources = image_folder(folder)
        rows = [Row(model, label, scale, protocol, ensemble and bool(model.nets)) for model in everyone]
        for source, lr, hr in _pairs(sources, scale, label):
            stored_gray = is_gray(source.hr)
            for row in rows:
                begun = time.perf_counter()
                outputs = _outputs(row.model, lr, scale, ensemble)
                spent = 1000 * (time.perf_counter() - begun) / max(1, len(row.model.nets))
                scores = [score(sr, hr, protocol, scale, stored_gray=stored_gray) for sr in outputs]
                means = [statistics.fmean(float(one[name]) for one in scores) for name in ("psnr", "ssim")]
                row.images.append((source.name, means[0], means[1], spent))
                if save:
                    _save(save / _plain(row.model.label) / _plain(label) / f"{source.name}.png", outputs[0])
        yield from rows


def _pairs(sources: Sequence[Source], scale: int, label: str) -> Iterator[tuple[Source, Tensor, Tensor]]:
    shown: Iterable[Source] = sources
    if len(sources) >= _QUIET_BELOW:
        shown = track(sources, description=label, transient=True)
    for source in shown:
        lr, hr = load_pair(source, scale, _SHRINK)
        yield source, to_float(lr)[None], to_float(hr)[None]


def _outputs(model: Model, lr: Tensor, scale: int, ensemble: bool) -> list[Tensor]:
    """What a model makes of an image, one output a network."""
    if not model.nets:
        return [resize(lr.double(), scale, model.label)]
    batch = lr.contiguous(memory_format=torch.channels_last)
    return [enlarge(net, batch, ensemble=ensemble) for net in model.nets]


def _labels(folders: Sequence[Path]) -> list[str]:
    """Names of data sets: their folders', or whole paths where two have the same."""
    resolved = [folder.resolve() for folder in folders]
    names = [one.parent.name if one.name == "high_res" else one.name for one in resolved]
    return names if len(set(names)) == len(names) else [str(one) for one in folders]


def _plain(label: str) -> str:
    """A label as the name of one folder."""
    return "_".join(part for part in Path(label).parts if part not in ("/", "..", "."))


def _save(path: Path, sr: Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image: Image.Image = to_pil(to_uint8(sr[0]))
    with whole_file(path) as file:
        image.save(file, format="PNG")


def write_rows(rows: Sequence[Row], csv: Path | None, json_file: Path | None) -> list[Path]:
    """Write the table as CSV and JSON where asked for, and into run folders for their report.

    Beside ``NAME.csv`` stands ``NAME_images.csv``, a row an image. A run folder gets a file in ``evaluations/``.

    Returns:
        The files.

    Raises:
        UserError: if one cannot be written.
    """
    written: list[Path] = []
    try:
        for path in filter(None, (csv, json_file)):
            path.parent.mkdir(parents=True, exist_ok=True)
        if csv:
            images = csv.with_name(f"{csv.stem}_images.csv")
            write_table(csv, [row.as_dict() for row in rows])
            write_table(images, [image for row in rows for image in _image_rows(row)])
            written += [csv, images]
        if json_file:
            _write_json(json_file, [{**row.as_dict(), "per_image": _image_rows(row)} for row in rows])
            written.append(json_file)
        for row in rows:
            if row.model.run:
                folder = row.model.run / _EVALUATIONS
                folder.mkdir(exist_ok=True)
                more = "_x8" if row.ensemble else ""
                path = folder / f"{_plain(row.data)}_x{row.scale}_{row.protocol}{more}.json"
                _write_json(path, [row.as_dict()])
                written.append(path)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written ({error.strerror})") from error
    return written


def _image_rows(row: Row) -> list[dict[str, Any]]:
    about = {name: value for name, value in row.as_dict().items() if name in ("model", "data", "scale", "protocol")}
    return [
        {**about, "name": name, "psnr": psnr, "ssim": ssim, "ms": milliseconds}
        for name, psnr, ssim, milliseconds in row.images
    ]


def _write_json(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_text(path, json.dumps(list(rows), indent=2) + "\n")


def render(rows: Sequence[Row]) -> str:
    """The rows as a text table; what loses to bicubic says so."""
    lines = [("model", "data", "scale", "protocol", "PSNR dB", "SSIM", "gain dB", "images", "ms/image", "")]
    for row in rows:
        baseline = next(one for one in rows if one.data == row.data and one.model.label == BASELINE)
        gain = row.mean(1) - baseline.mean(1)
        loses = row.model.nets and gain <= 0
        numbers = (f"{row.mean(1):.2f}", f"{row.mean(2):.4f}", f"{gain:+.2f}", str(len(row.images)))
        about = (str(row.as_dict()["model"]), row.data, f"x{row.scale}", row.protocol)
        lines.append((*about, *numbers, f"{row.mean(3):.1f}", "loses to bicubic" if loses else ""))
    return "\n".join(aligned(lines)) + "\n"
