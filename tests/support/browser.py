"""A page in an installed Chromium, and a check of its accessibility."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_SEVERE = ("serious", "critical")


@dataclass
class Browser:
    """A page in an installed Chromium, with the URLs it requested and the errors it logged."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def axe_findings(page: Any) -> list[str]:
    """What axe-core finds serious or critical in a page, a line each; skips the test if axe-core is not installed."""
    places = (os.environ.get("AXE", ""), Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js")
    script = next((Path(place) for place in places if place and Path(place).is_file()), None)
    if script is None:
        pytest.skip("axe-core is not installed (npm install --no-save axe-core, or AXE=/path/to/axe.min.js)")
    page.evaluate(script.read_text())
    violations: Sequence[dict[str, Any]] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(results => results.violations)"
    )
    return [
        f"{entry['impact']}: {entry['id']}: {entry['nodes'][0]['target']}"
        for entry in violations
        if entry["impact"] in _SEVERE
    ]
