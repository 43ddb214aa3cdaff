"""Score images against their targets with any metrics, under a named protocol."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial

import torch
from torch import Tensor

from sr.errors import UserError, check_choice
from sr.image import gray, luma, quantise, resize, shave
from sr.metrics.pixels import psnr
from sr.metrics.structure import rows_at_a_time, ssim
from sr.terms import BASELINES, DEFAULT_METRICS, Batch, MetricInfo, Protocol

log = logging.getLogger(__name__)

# Columns of the tables of runs, of `sr evaluate` and of `sr report` that are no metrics.
_RESERVED = frozenset(
    {
        *("name", "group", "seed", "fold", "epoch", "step", "seconds", "lr", "loss", "gain"),
        *("model", "data", "scale", "protocol", "psnr_of_mean_error", "images", "ms", "ms_per_image", "precision"),
        *("device", "per_image", "table", "rank", "status", "reason", "verdict", "kind", "score", "rope", "reference"),
    }
)


class Compares(StrEnum):
    """What a metric compares."""

    PROTOCOL = "protocol"  # output and target as the protocol has them
    RGB = "rgb"  # output and target with all their channels, without the border that the protocol cuts
    INPUT = "input"  # the output, shrunk by bicubic interpolation and rounded, and the input, as the protocol has them


@dataclass(frozen=True)
class Metric:
    """A measure of quality, and how to show and rank its values.

    Attributes:
        function: two batches ``(N, C, H, W)`` in [0, 1], rounded to the values of a file, to ``(N,)``.
        label: in tables.
        unit: behind values; empty for none.
        digits: behind the decimal point.
        range: least and greatest value; None where there is no bound. Reports name values outside.
        higher_is_better: the direction.
        rope: differences up to this are practically equivalent.
        compares: see `Compares`.
    """

    function: Callable[[Tensor, Tensor], Tensor]
    label: str
    unit: str = ""
    digits: int = 4
    range: Sequence[float | None] = (None, None)
    higher_is_better: bool = True
    rope: float = 0.0
    compares: str = Compares.PROTOCOL

    def __post_init__(self) -> None:
        """Check what is compared, and the range.

        Raises:
            UserError: if what is compared is unknown, or the range is not two numbers, the lower first.
        """
        check_choice("metrics: compares", self.compares, [*Compares])
        ends = list(self.range)
        if len(ends) != 2 or (None not in ends and not ends[0] < ends[1]):  # type: ignore[operator]
            raise UserError(f"metrics: {self.label}: range must be [least, greatest], null for no bound: {ends}")

    @property
    def info(self) -> MetricInfo:
        """What a table has to know of it."""
        low, high = self.range
        return MetricInfo(self.label, self.unit, self.digits, self.higher_is_better, self.rope, (low, high))


def _described(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> Metric:
    info = DEFAULT_METRICS[name]
    return Metric(function, info.label, info.unit, info.digits, info.range, info.higher_is_better, info.rope)


# What is scored unless other metrics are named.
DEFAULT: Mapping[str, Metric] = {"psnr": _described("psnr", psnr), "ssim": _described("ssim", ssim)}


def score(
    sr: Tensor,
    hr: Tensor,
    protocol: str = Protocol.RGB,
    border: int = 0,
    *,
    stored_gray: bool = False,
    bits: int = 8,
    metrics: Mapping[str, Metric] = DEFAULT,
    lr: Tensor | None = None,
) -> dict[str, Tensor]:
    """Score images against their targets, in float64 where the device has it.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1]; clamped and rounded to the values of a file first.
        hr: the same shape.
        protocol: ``rgb``: all channels, no border cut. ``y``: MATLAB's luma rounded to 8 bits, without the border; only
            for RGB and for gray, whose values are scored directly.
        border: pixels cut from each side under ``y``; by convention the scale.
        stored_gray: the target's file is grayscale, so that ``y`` scores its values directly, not their luma.
        bits: of a value in a file, 8 or 16.
        metrics: by name; PSNR and SSIM by default.
        lr: the input ``(N, C, h, w)``; without it, or in the size of the target, metrics that compare with it are left
            out.

    Returns:
        For each metric ``(N,)``.

    Raises:
        UserError: if the protocol is unknown, an image is too small for a metric, or a metric returns anything but a
            value for each image.
    """
    check_choice("protocol", protocol, [*Protocol])
    with torch.autocast(sr.device.type, enabled=False):
        views = _Views(sr, hr, lr, protocol, border, stored_gray, bits)
        has_input = lr is not None and lr.shape[-1] < hr.shape[-1]
        return {
            name: _one_each(name, metric.function(*views.pair(Compares(metric.compares))), len(sr))
            for name, metric in metrics.items()
            if has_input or metric.compares != Compares.INPUT
        }


def _one_each(name: str, values: object, count: int) -> Tensor:
    """What a metric returned, after checking that it is a value for each image."""
    if isinstance(values, Tensor) and values.shape == (count,):
        return values
    what = f"a tensor {tuple(values.shape)}" if isinstance(values, Tensor) else f"a {type(values).__name__}"
    raise UserError(f"metrics: {name} returned {what} for {count} images: a tensor ({count},), a value each, is needed")


@dataclass
class _Views:
    """An output and its target in the forms that metrics compare, each made once, when the first metric needs it."""

    sr: Tensor
    hr: Tensor
    lr: Tensor | None
    protocol: str
    border: int
    stored_gray: bool
    bits: int

    def pair(self, compares: Compares) -> tuple[Tensor, Tensor]:
        """Two images of the same size and type."""
        return {Compares.PROTOCOL: self._scored, Compares.RGB: self._rgb, Compares.INPUT: self._with_input}[compares]()

    def _scored(self) -> tuple[Tensor, Tensor]:
        return self._of_protocol

    @cached_property
    def _of_protocol(self) -> tuple[Tensor, Tensor]:
        return self._cut(self._values(self.sr)), self._cut(self._values(self.hr))

    def _rgb(self) -> tuple[Tensor, Tensor]:
        return self._cut(quantise(self.sr.float(), self.bits)), self._cut(quantise(self.hr.float(), self.bits))

    def _with_input(self) -> tuple[Tensor, Tensor]:
        assert self.lr is not None
        output = quantise(self.sr.float(), self.bits)  # float32, in which inputs are derived
        shrunk = resize(output, self.lr.shape[-1] / self.sr.shape[-1])
        return self._values(shrunk), self._values(self.lr)

    def _cut(self, image: Tensor) -> Tensor:
        return shave(image, self.border) if self.protocol == Protocol.Y else image

    def _values(self, image: Tensor) -> Tensor:
        """What the protocol compares, strip by strip: all channels, or luma or gray value; rounded as in a file."""
        dtype = torch.float32 if image.device.type == "mps" else torch.float64  # Apple's GPUs lack float64
        strips = (rows.to(dtype) for rows in image.split(rows_at_a_time(image), -2))
        return torch.cat([_scored_values(rows, self.protocol, self.stored_gray, self.bits) for rows in strips], -2)


def _scored_values(image: Tensor, protocol: str, stored_gray: bool, bits: int) -> Tensor:
    image = quantise(image, bits)
    if protocol == Protocol.RGB:
        return image
    return quantise(gray(image) if stored_gray or image.shape[1] == 1 else luma(image), bits)


class Scorer:
    """Score outputs and, once per image, the baselines they have to beat."""

    def __init__(
        self,
        scale: int,
        protocol: str = Protocol.RGB,
        bits: int = 8,
        metrics: Mapping[str, Metric] = DEFAULT,
    ) -> None:
        """Fix the protocol and the metrics.

        Args:
            scale: enlarges the input, and is the border that ``y`` cuts by default.
            protocol: ``rgb`` or ``y``.
            bits: of a value in a file, to which images are rounded.
            metrics: by name, PSNR and SSIM among them.

        Raises:
            UserError: if the protocol is unknown, or PSNR or SSIM is missing.
        """
        check_choice("protocol", protocol, [*Protocol])
        check_metrics(metrics, scale)
        self.scale, self.bits = scale, bits
        self.protocol = protocol
        self.metrics = metrics
        self._baselines = BASELINES if scale > 1 else BASELINES[:1]
        self._baseline_scores: dict[str, dict[str, Tensor]] = {}

    def __call__(
        self,
        sr: Tensor,
        lr: Tensor,
        hr: Tensor,
        names: Sequence[str],
        border: int | None = None,
        stored_gray: bool = False,
    ) -> dict[str, Tensor]:
        """Score a batch; ``names`` identify the images across epochs, and `score` explains ``stored_gray``.

        Returns:
            Tensors ``(N,)``: each metric, ``gain`` (dB of PSNR over the input), and each metric of the input, as
            ``input_psnr``; for scales above 1 also those of ``nearest`` and ``lanczos``.
        """
        score_all = partial(
            score,
            protocol=self.protocol,
            border=self.scale if border is None else border,
            stored_gray=stored_gray,
            bits=self.bits,
            metrics=self.metrics,
            lr=lr,
        )
        scores = score_all(sr, hr)
        if any(name not in self._baseline_scores for name in names):
            batch = {
                f"{baseline.prefix}_{metric}": values
                for baseline in self._baselines
                for metric, values in score_all(resize(lr, self.scale, baseline.kernel), hr).items()
            }
            for position, name in enumerate(names):
                self._baseline_scores[name] = {key: values[position] for key, values in batch.items()}
        rows = [self._baseline_scores[name] for name in names]
        scores |= {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
        scores["gain"] = scores["psnr"] - scores["input_psnr"]
        return scores

    @torch.inference_mode()
    def try_out(self, batch: Batch) -> None:
        """Score the input of a batch by all metrics but PSNR and SSIM, for nothing; nothing is kept.

        Raises:
            UserError: as `score` does.
        """
        others = {name: metric for name, metric in self.metrics.items() if name not in DEFAULT}
        score(
            resize(batch["lr"], self.scale),
            batch["hr"],
            self.protocol,
            batch["border"],
            stored_gray=batch["stored_gray"],
            bits=self.bits,
            metrics=others,
            lr=batch["lr"],
        )


def check_metrics(metrics: Mapping[str, Metric], scale: int) -> None:
    """Say which metrics cannot be computed at a scale.

    Raises:
        UserError: unless PSNR and SSIM, which gains and verdicts need, are among them, and for a name that tables use
            for something else.
    """
    for name in metrics:
        _check_name(name, metrics)
    missing = [name for name in DEFAULT if name not in metrics]
    if missing:
        chosen = ",".join(name for name in metrics if name not in DEFAULT)
        raise UserError(f"metrics: {' and '.join(missing)} cannot be left out: metrics=[default,{chosen}]")
    left_out = [name for name, metric in metrics.items() if metric.compares == Compares.INPUT]
    if scale == 1 and left_out:
        log.warning("%s: left out at scale 1, where nothing is shrunk", ", ".join(left_out))


def _check_name(name: str, names: Collection[str]) -> None:
    """Refuse a name whose scores another column of a table would overwrite."""
    stem = name.removesuffix("_sd")
    is_deviation = stem != name and stem in names
    if name in _RESERVED or is_deviation or name.startswith(tuple(f"{baseline.prefix}_" for baseline in BASELINES)):
        raise UserError(f"metrics: {name!r} is a column of the tables already: give the metric another name")
