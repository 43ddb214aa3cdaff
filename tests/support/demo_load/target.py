"""The server under load: requests that visitors make, and how each may end."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import httpx
from PIL import Image

from tests.support.demo_load.visitor import RefusedError, ViolationError, Visitor, file_data

MODEL = "espcn_x2"


class Outcome(StrEnum):
    """How a request ended."""

    IMAGE = "image"
    REFUSED = "refused"
    HUNG_UP = "hung up"
    VIOLATED = "violated"


@dataclass(frozen=True)
class Target:
    """A running server, its buttons, a file that must stay secret and a URL that it must not request."""

    client: httpx.Client
    buttons: dict[str, int]
    secret: Path
    forbidden_url: str
    temporary: Path

    def enlarge(self, visitor: Visitor, content: bytes, size: tuple[int, int], name: bytes = b"photo.png") -> Outcome:
        """Upload a file and enlarge it; ``size`` is the required width and height of the result."""
        path = visitor.upload(content, name)
        if not Path(path).resolve().is_relative_to(self.temporary):
            raise ViolationError(f"an upload went to {path}")
        return self.press_enlarge(visitor, [[MODEL], file_data(path), None], size)

    def press_enlarge(self, visitor: Visitor, inputs: list[Any], size: tuple[int, int]) -> Outcome:
        """Press "enlarge" with any inputs; each resulting image must have this size."""
        slider, download, *others = visitor.call(self.buttons["enlarge"], inputs)
        if not slider["value"]:
            raise RefusedError(200, _faults(others).encode())
        for file in (*slider["value"], *download["value"]):
            status, content = visitor.request("GET", f"/gradio_api/file={quote(file['path'])}")
            if status != 200:
                raise ViolationError(f"the result cannot be fetched: {status}")
            with Image.open(io.BytesIO(content)) as image:
                if image.size != size:
                    raise ViolationError(f"a result of {image.size}, not {size}")
                image.load()
        return Outcome.IMAGE

    def fetch_forbidden(self, visitor: Visitor, path: str) -> Outcome:
        """Request a path that must be refused.

        Raises:
            RefusedError: if it is refused.
            ViolationError: if it is not, or if the response contains a file.
        """
        status, text = visitor.request("GET", path)
        if file_name := unquote(path.partition("=")[2]):
            text = text.replace(file_name.encode(), b"FILE")  # Gradio repeats the name of the file
        if self.secret.read_bytes() in text or b"root:" in text:
            raise ViolationError(f"{path}: leaked a file")
        if status < 400:
            raise ViolationError(f"{path}: responded with {status}")
        raise RefusedError(status, text)


def _faults(outputs: list[Any]) -> str:
    """The texts that are shown at the controls, as one."""
    values = [output.get("value") for output in outputs if isinstance(output, dict)]
    return " ".join(re.sub("<[^>]*>", "", value) for value in values if isinstance(value, str))


Send: TypeAlias = Callable[[Target, Visitor], Outcome]


@dataclass(frozen=True)
class RequestKind:
    """A kind of request, and its expected outcome; None if an image and a refusal are both correct."""

    send: Send
    expected: Outcome | None
