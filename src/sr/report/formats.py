"""The templates of the report's pages, and the filters that format their numbers."""

import base64
import math
from pathlib import Path
from typing import Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sr.report.budgets import Budget
from sr.report.statistics import Interval
from sr.report.svgs import inline_svg
from sr.runs.scores import MeanSd
from sr.terms import DEFAULT_METRICS, MetricInfo

PSNR = DEFAULT_METRICS["psnr"]


class Estimate(Protocol):
    """A mean difference and its interval."""

    @property
    def mean(self) -> float:
        """The difference."""

    @property
    def interval(self) -> Interval:
        """Its 95 % interval."""


def templates() -> Environment:
    """The Jinja environment of the templates in this package."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["psnr"] = PSNR
    environment.filters |= {
        "mean_sd": mean_sd,
        "signed": lambda value, digits=2: f"{value:+.{digits}f}",
        "si": si,
        "short": short,
        "commit": commit,
        "cell": lambda text: str(text).replace("|", "\\|"),
        "data_uri": data_uri,
        "difference": difference,
        "inline_svg": inline_svg,
        "interval_only": interval_only,
        "mean_only": mean_only,
        "interval": interval,
        "milliseconds": milliseconds,
        "amount": amount,
    }
    return environment


def data_uri(svg: str) -> str:
    """An SVG image as a data URI."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def mean_sd(summary: MeanSd | None, digits: int = 2, signed: bool = False) -> str:
    """A mean, followed by its standard deviation if there is one; empty without a mean.

    >>> mean_sd(MeanSd(29.25, 0.125)), mean_sd(MeanSd(0.5), 1, True), mean_sd(None)
    ('29.25 ± 0.12', '+0.5', '')
    """
    if summary is None:
        return ""
    text = f"{summary.mean:+.{digits}f}" if signed else f"{summary.mean:.{digits}f}"
    return text if summary.sd is None else f"{text} ± {summary.sd:.{digits}f}"


def mean_only(estimate: Estimate, metric: MetricInfo = PSNR) -> str:
    """A difference without its interval."""
    return f"{estimate.mean:+.{metric.digits}f}"


def interval_only(estimate: Estimate, metric: MetricInfo = PSNR) -> str:
    """The interval of a difference; empty if it is infinite, or if nothing varies, as from itself."""
    low, high = estimate.interval
    return interval(estimate.interval, metric) if math.isfinite(low) and low < high else ""


def difference(estimate: Estimate, metric: MetricInfo = PSNR) -> str:
    """A difference and its interval, if that is finite.

    >>> from sr.report.board import Difference
    >>> difference(Difference(0.25, Interval(0.125, 0.38)))
    '+0.25 (+0.12 to +0.38)'
    """
    mean, ends = mean_only(estimate, metric), interval_only(estimate, metric)
    return f"{mean} ({ends})" if ends else mean


def interval(ends: Interval, metric: MetricInfo = PSNR) -> str:
    """The ends of an interval, with signs; "unknown" for an infinite one."""
    if not math.isfinite(ends.low):
        return "unknown"
    return f"{ends.low:+.{metric.digits}f} to {ends.high:+.{metric.digits}f}"


def amount(value: float, metric: MetricInfo) -> str:
    """A size with its unit.

    >>> amount(0.1234, PSNR), amount(0.1234, DEFAULT_METRICS["ssim"])
    ('0.12 dB', '0.1234 of SSIM')
    """
    return f"{value:.{metric.digits}f} {metric.of}"


def milliseconds(budget: Budget) -> str:
    """The time of an image with its interval; a star where the machine was busy, or nobody looked whether it was."""
    if budget.ms_per_image is None:
        return ""
    ends = f" ({si(budget.ms_low)} to {si(budget.ms_high)})" if budget.ms_low is not None else ""
    return f"{si(budget.ms_per_image)}{ends}{'' if budget.is_quiet else ' *'}"


def commit(name: str | None) -> str:
    """An abbreviated git commit, and whether the source tree had uncommitted changes.

    >>> commit("0123456789abcdef-dirty"), commit(None)
    ('0123456789 (with changes)', 'unknown')
    """
    if name is None:
        return "unknown"
    return name[:10] + (" (with changes)" if name.endswith("-dirty") else "")


def short(value: object) -> str:
    """An option's value; a number with four significant digits.

    >>> short(0.00014484270516), short("mse"), short(64)
    ('0.0001448', 'mse', '64')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def si(value: float | None) -> str:
    """A number of at least 0 with three significant digits and an SI prefix; empty for None or NaN.

    >>> si(668227), si(43.8e9), si(3.14159), si(16), si(0), si(None)
    ('668 k', '43.8 G', '3.14', '16', '0', '')
    """
    if value is None or math.isnan(value):
        return ""
    if isinstance(value, int) and value < 1000:
        return str(value)
    power = 0 if value < 1000 else min(4, int(math.log10(value) // 3))
    scaled = value / 1000**power
    digits = 2 - math.floor(math.log10(scaled)) if scaled else 0
    return f"{scaled:.{max(0, digits)}f} {('', 'k', 'M', 'G', 'T')[power]}".strip()
