"""Check that this installation reproduces the published bicubic scores."""

import hashlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import track
from torch import Tensor

from sr.data.sources import image_folder
from sr.errors import UserError
from sr.image import crop_to_multiple, luma, quantise, resize, shave, to_float
from sr.io.images import is_gray, read_image
from sr.io.tables import aligned
from sr.metrics import psnr, ssim

# Bicubic, PSNR in dB and SSIM on luma, as nearly every paper since VDSR (Kim et al. 2016, table 2) prints them.
PUBLISHED = {
    "Set5": {2: (33.66, 0.9299), 3: (30.39, 0.8682), 4: (28.42, 0.8104)},
    "Set14": {2: (30.24, 0.8688), 3: (27.55, 0.7742), 4: (26.00, 0.7027)},
    "BSD100": {2: (29.56, 0.8431), 3: (27.21, 0.7385), 4: (25.96, 0.6675)},
    "Urban100": {2: (26.88, 0.8403), 3: (24.46, 0.7349), 4: (23.14, 0.6577)},
}
PSNR_WITHIN, SSIM_WITHIN = 0.01, 0.001

_COUNTS = {"Set5": 5, "Set14": 14, "BSD100": 100, "Urban100": 100}
_NAMES = {
    "set5": "Set5",
    "set14": "Set14",
    "bsd100": "BSD100",
    "b100": "BSD100",
    "bsds100": "BSD100",
    "urban100": "Urban100",
}

# Hash of the decoded images of a set, whatever its folder is called (see `fingerprint`).
_FINGERPRINTS = {"f96936e5ef11e612": "Set5"}


@dataclass(frozen=True)
class Check:
    """A bicubic row: what this installation scores, and what is published."""

    data: str
    scale: int
    psnr: float
    ssim: float
    published: tuple[float, float]

    @property
    def agrees(self) -> bool:
        """Within 0.01 dB and 0.001, after rounding to the published digits."""
        off = abs(round(self.psnr, 2) - self.published[0]), abs(round(self.ssim, 4) - self.published[1])
        return off[0] < PSNR_WITHIN + 1e-9 and off[1] < SSIM_WITHIN + 1e-9


def check(folder: Path) -> list[Check]:
    """Score the bicubic rows of a benchmark set at x2, x3 and x4 by the recipe that the literature's come from.

    Luma of the image, its sides cut to multiples of the scale, is rounded to 8 bits, shrunk and enlarged in double
    precision without rounding between the two, then rounded, and ``scale`` pixels are cut from each border.

    Raises:
        UserError: if the folder is not one of the sets by content or by name, or lacks some of its images.
    """
    sources = image_folder(folder)
    images = [read_image(source.hr) for source in track(sources, description=folder.name, transient=True)]
    stored_gray = [is_gray(source.hr) for source in sources]
    name = _FINGERPRINTS.get(fingerprint(images)) or _by_name(folder, len(images))
    checks = []
    for scale, published in PUBLISHED[name].items():
        scores = [_bicubic(image, scale, gray) for image, gray in zip(images, stored_gray, strict=True)]
        means = [statistics.fmean(column) for column in zip(*scores, strict=True)]
        checks.append(Check(name, scale, means[0], means[1], published))
    return checks


def fingerprint(images: Sequence[Tensor]) -> str:
    """Hash of decoded images ``(3, H, W)`` uint8, whatever their names, order and file formats."""
    each = sorted(hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images)
    return hashlib.sha256("".join(each).encode()).hexdigest()[:16]


def _by_name(folder: Path, count: int) -> str:
    resolved = folder.resolve()
    names = (
        _NAMES.get(part.lower().replace("-", "").replace("_", "")) for part in (resolved.name, resolved.parent.name)
    )
    name = next((known for known in names if known), None)
    if name is None:
        raise UserError(f"{folder}: is not one of {', '.join(PUBLISHED)} by content or by name: if it is, rename it")
    if count != _COUNTS[name]:
        raise UserError(f"{folder}: {name} has {_COUNTS[name]} images, this folder {count}")
    return name


def _bicubic(image: Tensor, scale: int, stored_gray: bool) -> tuple[float, float]:
    whole = crop_to_multiple(to_float(image).double()[None], scale)
    hr = whole[:, :1] if stored_gray else quantise(luma(whole))
    sr = quantise(resize(resize(hr, 1 / scale), scale))
    sr, hr = shave(sr, scale), shave(hr, scale)
    return float(psnr(sr, hr)), float(ssim(sr, hr))


def render(checks: Sequence[Check]) -> str:
    """The rows as a text table that marks deviations."""
    lines = [("data", "scale", "PSNR dB", "published", "SSIM", "published", "")]
    for row in checks:
        numbers = (f"{row.psnr:.2f}", f"{row.published[0]:.2f}", f"{row.ssim:.4f}", f"{row.published[1]:.4f}")
        lines.append((row.data, f"x{row.scale}", *numbers, "agrees" if row.agrees else "OFF"))
    return "\n".join(aligned(lines)) + "\n"
