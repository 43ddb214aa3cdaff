"""The table below a result: times, and scores against a target."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sr.image import to_float
from sr.io.pictures import Picture, read_picture
from sr.metrics import score
from sr.terms import Protocol


@dataclass(frozen=True)
class Timed:
    """An image that was made: by what, its path, and how long it took."""

    name: str
    path: str
    seconds: float


def facts(picture: Picture, target: Picture | None, rows: Sequence[Timed], scale: int, device: str) -> str:
    """Sizes, times and scores as HTML.

    Args:
        picture: the input.
        target: of the size of the results; None for a table without scores.
        rows: the baseline, then the models.
        scale: of all of them.
        device: where the models run.
    """
    height, width = picture.pixels.shape[:2]
    size = f"{width} x {height}" + (f" to {width * scale} x {height * scale}" if scale > 1 else ", sharpened")
    lines = [f"{size}, on {device}"] + ([picture.note] if picture.note else [])
    protocols = (Protocol.Y, Protocol.RGB) if target else ()
    headings = ["", "seconds"] + [f"{metric}, {name}" for name in protocols for metric in ("PSNR dB", "SSIM")]
    head = "".join(f'<th scope="col">{heading}</th>' if heading else "<td></td>" for heading in headings)
    body = "".join(_row(row, target, scale) for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    scrolls = f'<div class="scrolls" role="region" aria-label="Times and scores" tabindex="0">{table}</div>'
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines) + scrolls


def _row(row: Timed, target: Picture | None, scale: int) -> str:
    cells = [f"{row.seconds:.2f}"]
    if target:
        hr = _rgb(target)
        sr = _rgb(read_picture(Path(row.path), row.name, hr.shape[-1] * hr.shape[-2]))
        for protocol in (Protocol.Y, Protocol.RGB):
            scores = score(sr, hr, protocol, scale, stored_gray=target.gray)
            cells += [f"{float(scores['psnr']):.2f}", f"{float(scores['ssim']):.4f}"]
    return f'<tr><th scope="row">{html.escape(row.name)}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _rgb(picture: Picture) -> torch.Tensor:
    """``(1, 3, H, W)`` in [0, 1], alpha left out."""
    pixels = picture.pixels[..., :1].repeat(3, axis=2) if picture.gray else picture.pixels[..., :3]
    return to_float(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])
