"""axe-core in a page: what keeps people with a keyboard, a screen reader or weak eyes from using it."""

import os
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]
_SERIOUS = ("serious", "critical")


def axe_source() -> str:
    """The script of axe-core; skips the test if it is not there."""
    path = Path(os.environ.get("AXE_CORE") or _ROOT / "node_modules" / "axe-core" / "axe.min.js")
    if not path.is_file():
        pytest.skip("axe-core is not there (npm install --no-save axe-core, or AXE_CORE=PATH/axe.min.js)")
    return path.read_text(encoding="utf-8")


def serious_findings(page: Any, source: str) -> list[str]:
    """What axe finds serious or critical on a page as it is now: rule, element and message.

    Args:
        page: of playwright.
        source: from `axe_source`.
    """
    page.evaluate(source)
    violations = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{violation['id']}: {node['target']}: {node['failureSummary']}"
        for violation in violations
        if violation["impact"] in _SERIOUS
        for node in violation["nodes"]
    ]
