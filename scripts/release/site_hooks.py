"""Hooks of MkDocs: add the pages that are made from other files, and list the links that lead out of the site.

mkdocs.yml names this file; ``make docs`` runs it.
"""

import logging
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]

# Files of the repository that are pages of the site, too.
_COPIED = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}

_LINK = re.compile(r'href="(https?://[^"]+)"')
_log = logging.getLogger("mkdocs.hooks.site")
_external_links: dict[str, str] = {}  # and the first page that has each


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that have no file under docs/."""
    for name, source in _COPIED.items():
        text = (ROOT / source).read_text().replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Note the links of a page that lead out of the site."""
    for link in _LINK.findall(html):
        _external_links.setdefault(link, page.file.src_uri)
    return html


def on_post_build(config: MkDocsConfig) -> None:
    """List the external links, which are not fetched."""
    for link, page in sorted(_external_links.items()):
        _log.info("external link in %s, not checked: %s", page, link)
