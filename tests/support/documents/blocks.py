"""Find the code blocks of a Markdown page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# ```bash, ```python title="mynets/tiny.py", and so on; the mark is a comment on the line before.
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>skip|compose): (?P<reason>[^\n]+?) -->\n)?"
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        language: the word behind the fence; empty for none.
        title: file that the page asks the reader to save the block as; empty for none.
        text: its lines.
        line: line of the page on which it begins.
        mark: ``skip`` or ``compose`` where it cannot run in a test, otherwise empty.
        reason: why it cannot.
    """

    language: str
    title: str
    text: str
    line: int
    mark: str
    reason: str


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page in reading order."""
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("language")) + 1
        values = {key: match[key] or "" for key in ("language", "title", "text", "mark", "reason")}
        yield Block(line=line, **values)


def inline_code(page: Path) -> Iterator[str]:
    """Code inside sentences and tables."""
    return (match[1] for match in _INLINE.finditer(_BLOCK.sub("", page.read_text())))
