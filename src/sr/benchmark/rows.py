"""The scores of a model, or of a baseline, on a folder of images."""

import hashlib
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sr.terms import BASELINES, DEFAULT_METRICS, Baseline, MetricInfo, Protocol
from sr.weights.model import Model

_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\\]')
_LONGEST_NAME = 120  # bytes; file systems allow 255, and what tells apart scores follows


class ImageScore(NamedTuple):
    """Scores of one image, means over the networks of a model."""

    name: str
    psnr: float  # dB
    ssim: float
    milliseconds: float | None  # unknown for finished pictures
    more: Mapping[str, float] = {}  # other metrics

    def score(self, metric: str) -> float | None:
        """A score by its name; None if it was not computed."""
        return _score(self, metric)


class NetworkScore(NamedTuple):
    """Scores of one image by one network."""

    psnr: float  # dB
    ssim: float
    more: Mapping[str, float] = {}  # other metrics

    def score(self, metric: str) -> float | None:
        """A score by its name; None if it was not computed."""
        return _score(self, metric)


def _score(scores: ImageScore | NetworkScore, metric: str) -> float | None:
    return getattr(scores, metric) if metric in DEFAULT_METRICS else scores.more.get(metric)


def mean_score(name: str, scores: Sequence[NetworkScore], milliseconds: float | None) -> ImageScore:
    """The mean of the scores of an image by several networks."""
    psnr, ssim = (statistics.fmean(getattr(score, metric) for score in scores) for metric in DEFAULT_METRICS)
    more = {metric: statistics.fmean(score.more[metric] for score in scores) for metric in scores[0].more}
    return ImageScore(name, psnr, ssim, milliseconds, more)


@dataclass
class Row:
    """Scores of a model, or of a baseline, on a folder of images.

    Attributes:
        model: what is scored.
        data: name of the folder.
        scale: factor between input and output.
        protocol: see `sr.metrics.score`.
        ensemble: whether the outputs are means over flips and rotations.
        precision: that the outputs are computed in.
        device: that they are computed on.
        bits: of a value of the images, and of the outputs that are scored.
        images: scores of each image.
        by_network: for each image, the scores by each network of the model, or of the baseline.
        groups: the photograph that each image shows: near-identical copies share it. Empty until the folder is done.
        fingerprint: hash of the names and contents of the images. Empty until the folder is done.
        contents: hash of the high resolution of each image. Empty until the folder is done.
        outputs: folder of the finished pictures of another program.
        data_set: name of the folder alone, where ``data`` names a degradation, too.
        degradation: name of what made the low resolution; empty if files hold that of every image.
        degraded_by: key of it, which tells apart what has the same name.
        trained_on: key of the degradation of the training of the model, as far as its weights record it.
        metrics: how to show each metric, by its name.
    """

    model: Model
    data: str
    scale: int
    protocol: Protocol
    ensemble: bool = False
    precision: str = "float64"
    device: str = "cpu"
    bits: int = 8
    images: list[ImageScore] = field(default_factory=list)
    by_network: list[list[NetworkScore]] = field(default_factory=list)
    groups: Sequence[str] = ()
    fingerprint: str = ""
    contents: Sequence[str] = ()
    outputs: Path | None = None
    data_set: str = ""
    degradation: str = ""
    degraded_by: str = ""
    trained_on: str = ""
    metrics: Mapping[str, MetricInfo] = field(default_factory=lambda: DEFAULT_METRICS)

    def mean(self, metric: str) -> float | None:
        """Mean of a metric over the images; None if an image lacks it."""
        values = [image.score(metric) for image in self.images]
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if known and len(known) == len(values) else None

    @property
    def psnr(self) -> float:
        """Mean PSNR over the images, dB."""
        return statistics.fmean(image.psnr for image in self.images)

    @property
    def psnr_of_mean_error(self) -> float:
        """PSNR of the mean squared error over the images, dB: what some papers report instead of the mean PSNR.

        The error of an image is that of its PSNR, which for a model of several networks is the mean of theirs.
        """
        return -10 * math.log10(statistics.fmean(10 ** (-image.psnr / 10) for image in self.images))

    @property
    def ssim(self) -> float:
        """Mean SSIM over the images."""
        return statistics.fmean(image.ssim for image in self.images)

    @property
    def milliseconds(self) -> float | None:
        """Mean time of an image; None if it is unknown."""
        known = [image.milliseconds for image in self.images if image.milliseconds is not None]
        return statistics.fmean(known) if known else None

    @property
    def is_reference(self) -> bool:
        """Whether this is the bicubic row, which the gains of the other rows are relative to."""
        return self.baseline is BASELINES[0]

    @property
    def baseline(self) -> Baseline | None:
        """The baseline that this row scores; None for a model."""
        kernel = None if self.model.nets or self.outputs else self.model.label
        return next((baseline for baseline in BASELINES if baseline.kernel == kernel), None)

    @property
    def name(self) -> str:
        """What the table calls the model or the baseline."""
        return BASELINES[0].name_at(self.scale) if self.is_reference else self.model.label

    @property
    def in_bfloat16(self) -> bool:
        """Whether its outputs are computed in bfloat16."""
        return self.precision == "bfloat16"

    @property
    def settings(self) -> str:
        """How its outputs differ from those of the networks alone in float32 and 8 bits, in words."""
        bits = f" in {self.bits} bits" if self.bits != 8 else ""
        return (" + x8" if self.ensemble else "") + (" in bfloat16" if self.in_bfloat16 else "") + bits

    def as_dict(self) -> dict[str, str | float | None]:
        """The row as plain values."""
        return {
            "model": self.name + self.settings,
            "data": self.data,
            "scale": self.scale,
            "protocol": self.protocol,
            "psnr": self.psnr,
            "psnr_of_mean_error": self.psnr_of_mean_error,
            "ssim": self.ssim,
            **{name: self.mean(name) for name in self.metrics if name not in DEFAULT_METRICS},
            "images": len(self.images),
            "ms_per_image": self.milliseconds,
            "precision": self.precision,
            "device": self.device,
        }


def folder_name(label: str) -> str:
    r"""The label of a model or data set as the name of one folder or file on any system; a long one ends with its hash.

    >>> folder_name("../Set5 jpeg:quality=[20,60]"), len(folder_name("a" * 300))
    ('Set5 jpeg_quality=[20,60]', 120)
    """
    name = "_".join(part for part in Path(label).parts if part not in ("/", "..", "."))
    name = _NOT_ON_WINDOWS.sub("_", name)
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    end = f"_{hashlib.sha256(label.encode()).hexdigest()[:8]}"
    return name.encode()[: _LONGEST_NAME - len(end)].decode(errors="ignore") + end
