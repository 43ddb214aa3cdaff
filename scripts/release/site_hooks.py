"""Hooks of MkDocs: fill in what is generated from code, and list the links that lead out of the site.

mkdocs.yml names this file; ``make docs`` runs it.
"""

import argparse
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts.release import options_reference
from sr.cli import make_parser

ROOT = Path(__file__).parents[2]

# Files of the repository that are pages of the site, too.
_COPIED = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}

_WIDTH = "100"  # columns of the help of a command

_LINK = re.compile(r'href="(https?://[^"]+)"')
_log = logging.getLogger("mkdocs.hooks.site")
_external_links: dict[str, str] = {}  # and the first page that has each


def _commands() -> str:
    """The help of every command of `sr`."""
    os.environ["COLUMNS"] = _WIDTH
    groups = [action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    sections = [
        f"### `sr {name}`\n\n```text\n{parser.format_help().strip()}\n```"
        for name, parser in groups[0].choices.items()
        if name != "train"  # Hydra parses its arguments
    ]
    return "\n\n".join(sections)


_GENERATED = re.compile(r"<!-- generated: (\w+) -->")
_PARTS: dict[str, Callable[[], str]] = {"commands": _commands, "options": options_reference.page}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that have no file under docs/."""
    for name, source in _COPIED.items():
        text = (ROOT / source).read_text().replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the comments that mark a generated part, such as ``<!-- generated: commands -->``."""
    return _GENERATED.sub(lambda match: _PARTS[match[1]](), markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Note the links of a page that lead out of the site."""
    for link in _LINK.findall(html):
        _external_links.setdefault(link, page.file.src_uri)
    return html


def on_post_build(config: MkDocsConfig) -> None:
    """List the external links, which are not fetched."""
    for link, page in sorted(_external_links.items()):
        _log.info("external link in %s, not checked: %s", page, link)
