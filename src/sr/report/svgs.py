"""Plots as part of a page: in its colours, light or dark, and with a name for screen readers."""

import html
import re

from markupsafe import Markup

_COLOURS = {  # of the plots, and the variables of style.css that take their places
    "#000000": "ink",
    "#ffffff": "paper",
    "#777777": "gray",
    "#0072b2": "blue",
    "#e69f00": "orange",
    "#009e73": "green",
    "#cc79a7": "pink",
    "#56b4e9": "sky",
    "#d55e00": "red",
    "#7fc8b0": "better",
    "#f0a37e": "worse",
    "#a9d3ee": "equivalent",
    "#e6e6e6": "undecided",
}
_POINT = 4 / 3  # CSS pixels
_SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)pt"[^>]*?viewBox="([^"]+)"[^>]*>')


def inline_svg(svg: str, key: str, title: str) -> Markup:
    """The element of a plot.

    Args:
        svg: text of a file by matplotlib.
        key: what to begin its ids with, which have to be unique in the page.
        title: its name for screen readers.
    """
    found = _SIZE.search(svg)
    assert found, "matplotlib writes width and viewBox"
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\n? *", "", svg[found.end() :], flags=re.DOTALL)
    body = re.sub("<[^>]+>", lambda tag: _tag(tag[0], key), body)  # a text of the plot may look like an attribute
    head = (
        f'<svg role="img" aria-label="{html.escape(title)}" viewBox="{found[2]}" '
        f'style="--width: {float(found[1]) * _POINT:.0f}px" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return Markup(head + body)  # the text of a plot is escaped by matplotlib


def width_of(svg: str) -> float:
    """The width of a plot in CSS pixels."""
    found = _SIZE.search(svg)
    assert found, "matplotlib writes width and viewBox"
    return float(found[1]) * _POINT


def _tag(tag: str, key: str) -> str:
    tag = re.sub(r'\bid="', f'id="{key}-', tag)
    tag = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", tag)
    return re.sub(r"#[0-9a-f]{6}\b", _variable, tag)


def _variable(colour: re.Match[str]) -> str:
    name = _COLOURS.get(colour[0])
    return f"var(--{name}, {colour[0]})" if name else colour[0]
