"""Check that this installation reproduces the published bicubic scores."""

import hashlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import track
from torch import Tensor

from sr.data.folders.named import FolderOptions
from sr.data.sources import one_set
from sr.errors import UserError
from sr.image import crop_to_multiple, luma, quantise, resize, shave, to_float
from sr.io.images import is_gray, read_image
from sr.io.tables import aligned
from sr.metrics import psnr, ssim

# Bicubic, PSNR in dB and SSIM on luma, as in nearly every paper since VDSR (Kim et al. 2016, table 2).
PUBLISHED = {
    "Set5": {2: (33.66, 0.9299), 3: (30.39, 0.8682), 4: (28.42, 0.8104)},
    "Set14": {2: (30.24, 0.8688), 3: (27.55, 0.7742), 4: (26.00, 0.7027)},
    "BSD100": {2: (29.56, 0.8431), 3: (27.21, 0.7385), 4: (25.96, 0.6675)},
    "Urban100": {2: (26.88, 0.8403), 3: (24.46, 0.7349), 4: (23.14, 0.6577)},
}
PSNR_TOLERANCE, SSIM_TOLERANCE = 0.01, 0.001

_COUNTS = {"Set5": 5, "Set14": 14, "BSD100": 100, "Urban100": 100}
_NAMES = {  # by folder name, in lower case without - and _
    "set5": "Set5",
    "set14": "Set14",
    "bsd100": "BSD100",
    "b100": "BSD100",
    "bsds100": "BSD100",
    "urban100": "Urban100",
}

# Names by `fingerprint`, for sets in folders of any name.
_FINGERPRINTS = {"f96936e5ef11e612": "Set5"}


@dataclass(frozen=True)
class Check:
    """The bicubic scores of a data set at one scale, and the published ones."""

    data: str
    scale: int
    psnr: float
    ssim: float
    published: tuple[float, float]

    @property
    def agrees(self) -> bool:
        """Whether PSNR is within 0.01 dB and SSIM within 0.001, after rounding to the published digits."""
        psnr_error = abs(round(self.psnr, 2) - self.published[0])
        ssim_error = abs(round(self.ssim, 4) - self.published[1])
        return psnr_error < PSNR_TOLERANCE + 1e-9 and ssim_error < SSIM_TOLERANCE + 1e-9


def check(folder: Path) -> list[Check]:
    """Score bicubic on a benchmark set at x2, x3 and x4 with the protocol of the literature.

    The image is cropped to multiples of the scale, and its luma rounded to 8 bits. It is downscaled and upscaled in
    double precision without rounding in between, then rounded, and ``scale`` pixels are cut off each border.

    Raises:
        UserError: if the folder is not one of the sets by content or name, or lacks some of its images.
    """
    sources = one_set(folder, FolderOptions(high_only=True))
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
    """Hash of uint8 images ``(3, H, W)`` that does not depend on their names, order and file formats."""
    digests = sorted(hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images)
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def _by_name(folder: Path, count: int) -> str:
    resolved = folder.resolve()
    names = (
        _NAMES.get(part.lower().replace("-", "").replace("_", "")) for part in (resolved.name, resolved.parent.name)
    )
    name = next((known for known in names if known), None)
    if name is None:
        raise UserError(
            f"{folder}: is not one of {', '.join(PUBLISHED)} by content or name: rename the folder if it is"
        )
    if count != _COUNTS[name]:
        raise UserError(f"{folder}: {name} has {_COUNTS[name]} images, this folder has {count}")
    return name


def _bicubic(image: Tensor, scale: int, stored_gray: bool) -> tuple[float, float]:
    cropped = crop_to_multiple(to_float(image).double()[None], scale)
    hr = cropped[:, :1] if stored_gray else quantise(luma(cropped))
    sr = quantise(resize(resize(hr, 1 / scale), scale))
    sr, hr = shave(sr, scale), shave(hr, scale)
    return float(psnr(sr, hr)), float(ssim(sr, hr))


def render(checks: Sequence[Check]) -> str:
    """Format the scores as a text table that marks deviations."""
    lines = [("data", "scale", "PSNR dB", "published", "SSIM", "published", "")]
    for item in checks:
        numbers = (f"{item.psnr:.2f}", f"{item.published[0]:.2f}", f"{item.ssim:.4f}", f"{item.published[1]:.4f}")
        lines.append((item.data, f"x{item.scale}", *numbers, "agrees" if item.agrees else "OFF"))
    return "\n".join(aligned(lines)) + "\n"
