"""A page in an installed Chromium."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Browser:
    """A page in an installed Chromium, with the URLs it requested and the errors it logged."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
