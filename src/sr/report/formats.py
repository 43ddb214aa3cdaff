"""The templates of the report's pages, and the filters that format their numbers."""

import base64
import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sr.runs.scores import MeanSd


def templates() -> Environment:
    """The Jinja environment of the templates in this package."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "mean_sd": mean_sd,
        "signed": lambda value, digits=2: f"{value:+.{digits}f}",
        "si": si,
        "commit": commit,
        "cell": lambda text: str(text).replace("|", "\\|"),
        "data_uri": data_uri,
    }
    return environment


def data_uri(svg: str) -> str:
    """An SVG image as a data URI."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def mean_sd(summary: MeanSd, digits: int = 2, signed: bool = False) -> str:
    """A mean, followed by its standard deviation if there is one.

    >>> mean_sd(MeanSd(29.25, 0.125)), mean_sd(MeanSd(0.5), 1, True)
    ('29.25 ± 0.12', '+0.5')
    """
    text = f"{summary.mean:+.{digits}f}" if signed else f"{summary.mean:.{digits}f}"
    return text if summary.sd is None else f"{text} ± {summary.sd:.{digits}f}"


def commit(name: str | None) -> str:
    """An abbreviated git commit, and whether the source tree had uncommitted changes.

    >>> commit("0123456789abcdef-dirty"), commit(None)
    ('0123456789 (with changes)', 'unknown')
    """
    if name is None:
        return "unknown"
    return name[:10] + (" (with changes)" if name.endswith("-dirty") else "")


def si(value: float | None) -> str:
    """A number of at least 0 with three significant digits and an SI prefix; empty for None or NaN.

    >>> si(668227), si(43.8e9), si(3.14159), si(0), si(None)
    ('668 k', '43.8 G', '3.14', '0', '')
    """
    if value is None or math.isnan(value):
        return ""
    power = 0 if value < 1000 else min(4, int(math.log10(value) // 3))
    scaled = value / 1000**power
    digits = 2 - math.floor(math.log10(scaled)) if scaled else 0
    return f"{scaled:.{max(0, digits)}f} {('', 'k', 'M', 'G', 'T')[power]}".strip()
