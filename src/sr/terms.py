"""What several folders share: protocols, parts of a data set, baselines, speeds and costs, batches."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:  # the report imports this module without torch
    from torch import Tensor

_ROUNDING = 1e-6  # of a metric in float32, beyond the ends of its range

WHOLE_IMAGE = 4096  # halo of a network whose output depends on the whole image
OUR_DEGRADATIONS = "sr.data.degrade."  # begins the names of our classes
PRECISIONS = ("auto", "float32", "bfloat16")  # of using a model


class Protocol(StrEnum):
    """How an output is scored; a table never mixes scores of two protocols."""

    RGB = "rgb"  # all channels, 8 bits, no border cut
    Y = "y"  # MATLAB's luma, 8 bits, a border of `scale` pixels cut, as in the literature


class Part(StrEnum):
    """The parts of a data set."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@dataclass(frozen=True)
class DataSummary:
    """The images of a run.

    Attributes:
        fingerprint: hash of the names and contents of all images.
        images: number of images in each part.
        near_identical: names of the images in each group of near-identical ones.
    """

    fingerprint: str
    images: dict[Part, int]
    near_identical: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Baseline:
    """An enlargement by plain interpolation, which every model has to beat.

    Attributes:
        prefix: of its columns in image tables, as in ``nearest_psnr``.
        kernel: the kernel of `sr.image.resize`.
        label: its name in tables.
    """

    prefix: str
    kernel: str
    label: str

    def name_at(self, scale: int) -> str:
        """Its name in tables of a scale: at scale 1, where nothing is enlarged, the first one is the input itself.

        >>> BASELINES[0].name_at(2), BASELINES[0].name_at(1)
        ('bicubic', 'input')
        """
        return self.prefix if scale == 1 and self is BASELINES[0] else self.label


# Tables call the first one the input. At scale 1 nothing is enlarged, so all of them are the input itself.
BASELINES = (
    Baseline("input", "bicubic", "bicubic"),
    Baseline("nearest", "nearest", "nearest"),
    Baseline("lanczos", "lanczos", "Lanczos"),
)


@dataclass(frozen=True)
class MetricInfo:
    """How to show and rank the values of a metric, as recorded with them; see `sr.metrics.scoring.Metric`."""

    label: str
    unit: str = ""
    digits: int = 4
    higher_is_better: bool = True
    rope: float = 0.0
    range: tuple[float | None, float | None] = (None, None)

    def outside(self, value: float) -> bool:
        """Whether a value lies outside the range, by more than rounding; not a number does.

        >>> DEFAULT_METRICS["ssim"].outside(1.5), DEFAULT_METRICS["ssim"].outside(1.0)
        (True, False)
        """
        low, high = (-math.inf if self.range[0] is None else self.range[0], self.range[1])
        return not low - _ROUNDING <= value <= (math.inf if high is None else high) + _ROUNDING

    @property
    def range_text(self) -> str:
        """The range in words.

        >>> MetricInfo("VIF", range=(0, None)).range_text, MetricInfo("SSIM", range=(-1, 1)).range_text
        ('0 and above', '-1 to 1')
        """
        low, high = self.range
        if low is None or high is None:
            return "any" if low is high else f"{low:g} and above" if high is None else f"up to {high:g}"
        return f"{low:g} to {high:g}"

    @property
    def heading(self) -> str:
        """Of a column: the label and the unit.

        >>> MetricInfo("PSNR", "dB").heading, MetricInfo("SSIM").heading
        ('PSNR dB', 'SSIM')
        """
        return f"{self.label} {self.unit}".strip()

    @property
    def of(self) -> str:
        """Behind an amount: the unit, or what it is an amount of.

        >>> MetricInfo("PSNR", "dB").of, MetricInfo("SSIM").of
        ('dB', 'of SSIM')
        """
        return self.unit or f"of {self.label}"

    def text(self, value: float) -> str:
        """A value with its unit.

        >>> MetricInfo("PSNR", "dB", digits=2).text(30.124)
        '30.12 dB'
        """
        return f"{value:.{self.digits}f} {self.unit}".strip()


# Always scored; gains are differences of PSNR. The last number of each is what is practically equivalent.
DEFAULT_METRICS = {
    "psnr": MetricInfo("PSNR", "dB", 2, True, 0.05, (0, 130)),
    "ssim": MetricInfo("SSIM", "", 4, True, 0.001, (-1, 1)),
}


def metrics_of(config: Mapping[str, Any]) -> dict[str, MetricInfo]:
    """The metrics that the config of a run names; PSNR and SSIM for one of an earlier version.

    >>> list(metrics_of({"metrics": {"vif": {"label": "VIF", "function": {}}}}))
    ['vif']
    """
    names = [entry.name for entry in fields(MetricInfo)]
    return {
        metric: MetricInfo(**{name: _value(node[name]) for name in names if name in node})
        for metric, node in (config.get("metrics") or {}).items()
    } or DEFAULT_METRICS


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def direction(monitor: str, metrics: Mapping[str, Any]) -> str:
    """``max`` or ``min``: where a mean score, or a cost of a run, is best.

    Args:
        monitor: as ``val/psnr``; costs, such as ``ms_per_image``, are of no part.
        metrics: the config group, by name.

    >>> direction("val/loss", {}), direction("val/lpips", {"lpips": {"higher_is_better": False}})
    ('min', 'min')
    >>> direction("test/gain", {}), direction("ms_per_image", {})
    ('max', 'min')
    """
    part, _, name = monitor.rpartition("/")
    is_higher_better = (metrics.get(name) or {}).get("higher_is_better", bool(part) and name != "loss")
    return "max" if is_higher_better else "min"


SHARPENS = "scale 1: sharpens, does not enlarge"  # said wherever a scale is announced

ITS_INPUT = "its input"  # what reports call the first baseline

_LEAST_GAIN = 0.005  # dB; less does not show in two decimals


def loses_to(psnr: float, baselines: Mapping[str, float], input_name: str = ITS_INPUT) -> str:
    """The baselines that a PSNR does not beat, in words; empty if it beats all.

    Args:
        psnr: of a model, in dB.
        baselines: PSNR by the prefixes of `BASELINES`; those that were not scored are left out.
        input_name: what to call the first baseline; a model that loses to it needs no others named.

    >>> loses_to(30.0, {"input": 29.0, "nearest": 27.0, "lanczos": 30.2})
    'Lanczos'
    """
    unbeaten = [
        baseline
        for baseline in BASELINES
        if baseline.prefix in baselines and not psnr - baselines[baseline.prefix] >= _LEAST_GAIN
    ]
    return input_name if BASELINES[0] in unbeaten else " and ".join(baseline.label for baseline in unbeaten)


def pixel_format_name(channels: int, bits: int) -> str:
    """Channels and bits of images in words; empty for RGB of 8 bits.

    >>> pixel_format_name(3, 8), pixel_format_name(1, 8), pixel_format_name(4, 16)
    ('', 'gray', '4 channels, 16 bits')
    """
    name = {1: "gray", 3: ""}.get(channels, f"{channels} channels")
    return ", ".join(filter(None, [name, f"{bits} bits" if bits != 8 else ""]))


def image_channels(net: object) -> int:
    """Channels of the images that a network takes and makes: its ``image_channels``, or 3."""
    return int(getattr(net, "image_channels", 3))


@dataclass(frozen=True)
class Measurement:
    """A median of repeated measurements, with its 95 % interval from ``low`` to ``high``."""

    median: float
    low: float
    high: float
    repeats: int


@dataclass(frozen=True)
class Speed:
    """How fast a network enlarges, with an output of 256x256 pixels an image; see `sr.machine.speed`.

    Attributes:
        latency_ms: milliseconds of one image alone.
        images_per_second: throughput of batches.
        batch: images of such a batch.
        quiet: whether nothing else used the machine meanwhile; otherwise the numbers compare with no others.
        reason: why it is not quiet, in a few words.
    """

    latency_ms: Measurement
    images_per_second: Measurement
    batch: int
    quiet: bool
    reason: str = ""


def typical_speed(speeds: Sequence[Speed]) -> Speed | None:
    """The one of median latency among those of a quiet machine, or among all if there is none; None for no speeds.

    Of an even number it is the faster of the two in the middle.
    """
    candidates = sorted([speed for speed in speeds if speed.quiet] or speeds, key=lambda speed: speed.latency_ms.median)
    return candidates[(len(candidates) - 1) // 2] if candidates else None


@dataclass(frozen=True)
class Cost:
    """What a network costs: milliseconds an image, multiply-adds and parameters, each above 0."""

    milliseconds: float
    multiply_adds: float
    parameters: float


def ntire_score(cost: Cost, baseline: Cost) -> float:
    """The score of NTIRE's challenges on efficient super-resolution; less is better.

    ``0.7 exp(2 t/t0) + 0.15 exp(2 m/m0) + 0.15 exp(2 p/p0)`` of milliseconds t, multiply-adds m and parameters p, where
    the index 0 is the baseline (Ren et al. 2024, arXiv:2404.10343). There it ranks networks that reach a PSNR. It is
    infinite where a float cannot hold it: beyond 354 times the baseline's cost.

    >>> cost = Cost(milliseconds=12.0, multiply_adds=1.6e9, parameters=24_195)
    >>> round(ntire_score(cost, cost), 3)  # e^2
    7.389
    """
    ratios = (
        (0.7, cost.milliseconds / baseline.milliseconds),
        (0.15, cost.multiply_adds / baseline.multiply_adds),
        (0.15, cost.parameters / baseline.parameters),
    )
    try:
        return sum(weight * math.exp(2 * ratio) for weight, ratio in ratios)
    except OverflowError:
        return math.inf


class Batch(TypedDict):
    """Image pairs: uint8 or uint16 as loaded, float32 in [0, 1] once they are on the device.

    ``lr`` is ``(N, C, h, w)``, ``hr`` ``(N, C, scale*h, scale*w)``, ``name`` a list of N names. Whole images also have
    ``group``, a list of the photographs that they belong to, ``border``, what the protocol ``y`` cuts from each side,
    in pixels, and ``stored_gray``, whether their file is gray, so that ``y`` scores its values and not their luma.
    """

    lr: "Tensor"
    hr: "Tensor"
    name: list[str]
    group: NotRequired[list[str]]
    border: NotRequired[int]
    stored_gray: NotRequired[bool]


class StepOutput(TypedDict):
    """What a validation or test step returns to the callbacks.

    ``scores`` maps each score's name to a tensor ``(N,)``; ``sr`` is the unclamped output ``(N, C, scale*h, scale*w)``.
    """

    part: Part
    name: list[str]
    scores: "dict[str, Tensor]"
    sr: "Tensor"


class NetworkConfig(TypedDict):
    """What rebuilds a trained network: plain values, kept in checkpoints and beside exported weights.

    ``model`` holds its ``_target_`` and arguments; ``scale`` is the one it was built with, ``scales`` are those it was
    trained for; ``protocol`` is the one it was scored with, if that is known. For networks of scale 1 ``shrink`` is how
    far their input was shrunk before it was enlarged again. ``degrade`` is the config of the degradation that made
    their input, unless it was the default. ``steps`` are the optimizer steps behind the weights, those
    of the weights they started from included; None if these are unknown. ``halo`` is the measured one of a network that
    does not state it: how many low-resolution pixels around a pixel its output depends on. ``align`` is the grid of
    low-resolution pixels that its tiles begin on.
    """

    model: dict[str, object]
    scale: int
    scales: list[int]
    protocol: str | None
    shrink: NotRequired[int]
    degrade: NotRequired[dict[str, object]]
    steps: NotRequired[int | None]
    halo: NotRequired[int]
    align: NotRequired[int]
