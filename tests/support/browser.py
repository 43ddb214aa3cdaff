"""A page of an installed Chromium."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Browser:
    """A page of an installed Chromium, what it asked for and what it complained about."""

    page: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
