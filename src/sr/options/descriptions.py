"""Descriptions of options: from the docstrings of what they configure, and from the comments of YAML files."""

import inspect
import re
from typing import Any

_SECTION = re.compile(r"(?:Args|Arguments|Parameters|Attributes|Keyword Args|Keyword Arguments):")
_PARAMETER = re.compile(r"\*{0,2}(?P<names>\w+(?:, \w+)*)(?: \([^)]*\))?: ?(?P<text>.*)")
_ROLE = re.compile(r":\w+(?::\w+)*:`~?([^`<]*?)(?: <[^`>]*>)?`")  # of Sphinx, as in :class:`~torch.optim.Adam`
_KEY_LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):[^#]*(?:# *(?P<comment>.*))?")


def described_parameters(target: Any) -> dict[str, str]:
    """The description of each parameter in the docstrings of a function, or of a class and its constructor.

    Args:
        target: a class or function; its docstrings have sections in Google's style.
    """
    documented = (target, vars(target).get("__init__")) if isinstance(target, type) else (target,)
    found: dict[str, str] = {}
    for docstring in (inspect.getdoc(item) for item in documented if item):
        found |= _parameters_of(docstring or "")
    return found


def summary(target: Any) -> str:
    """The first line of a docstring; empty without one."""
    return (inspect.getdoc(target) or "").partition("\n")[0]


def _parameters_of(docstring: str) -> dict[str, str]:
    r"""The parameters of a docstring, each with its first paragraph in one line.

    >>> _parameters_of("Blur.\n\nArgs:\n    sigma (float): width\n        in pixels.\n\nReturns:\n    it: no")
    {'sigma': 'width in pixels.'}
    """
    found: dict[str, list[str]] = {}
    indent, names, in_section = 0, [""], False
    for line in docstring.splitlines():
        depth = len(line) - len(line.lstrip())
        if _SECTION.fullmatch(line.strip()):
            in_section, indent = True, 0
        elif not line.strip():
            names = []  # a second paragraph does not belong to the description
        elif in_section:
            indent = indent or depth
            match = _PARAMETER.fullmatch(line.strip()) if depth == indent else None
            in_section = depth >= indent > 0
            if match:
                names = match["names"].split(", ")
                found |= {name: [match["text"]] for name in names}
            elif depth > indent:
                for name in names:
                    found[name].append(line.strip())
    texts = {name: " ".join(lines).strip() for name, lines in found.items()}
    return {name: _ROLE.sub(r"`\1`", text).replace("``", "`") for name, text in texts.items()}


def comments(text: str) -> dict[str, str]:
    r"""Comments behind the keys of a YAML file, by dotted path.

    >>> comments("scale: 1  # of the sides\ndata:\n  patch: 96  # pixels")
    {'scale': 'of the sides', 'data.patch': 'pixels'}
    """
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = _KEY_LINE.fullmatch(line)
        if match:
            indent = len(match["indent"])
            path = [*(parent for parent in path if parent[0] < indent), (indent, match["key"])]
            if match["comment"]:
                found[".".join(key for _, key in path)] = match["comment"]
    return found
