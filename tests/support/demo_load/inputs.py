"""Requests that press a button with inputs a browser would not send: model names, and references to files."""

import base64
from collections.abc import Callable
from typing import Any

from tests.support.demo_load.pictures import bomb, encoded, photograph
from tests.support.demo_load.target import MODEL, Outcome, RequestKind, Target
from tests.support.demo_load.visitor import Visitor, file_data


def model_kinds() -> dict[str, RequestKind]:
    """Requests with other values in place of a model name."""
    png = encoded(photograph(48, 40, 0))
    values = {
        "up": "../../x.ckpt",
        "absolute": "/etc/passwd",
        "address": "http://127.0.0.1:9/x.ckpt",
        "list": [MODEL],
        "dict": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
        "number": 7,
        "long": "x" * 100_000,
        "newlines": "a\nb\nTraceback (most recent call last)",
    }

    def kind(value: Any) -> RequestKind:
        def send(target: Target, visitor: Visitor) -> Outcome:
            path = visitor.upload(png)
            if visitor.session < "8":  # half of the visitors look at the scores of the model first
                visitor.call(target.buttons["metrics"], [[value]])
            return target.press_enlarge(visitor, [[value], file_data(path), None], (96, 80))

        return RequestKind(send, Outcome.REFUSED)

    return {f"model: {name}": kind(value) for name, value in values.items()}


def file_kinds() -> dict[str, RequestKind]:
    """Requests with other values in place of a reference to an uploaded file."""
    image_url = "data:image/png;base64," + base64.b64encode(bomb()).decode()
    values: dict[str, Callable[[Target], Any]] = {
        "a path": lambda _: file_data("/etc/passwd"),
        "a path without its kind": lambda target: {"path": str(target.secret)},
        "a picture elsewhere": lambda target: file_data(str(target.secret.with_suffix(".png"))),
        "a picture elsewhere without its kind": lambda target: {"path": str(target.secret.with_suffix(".png"))},
        "a path upwards": lambda target: file_data(f"{target.temporary}/../{target.secret.name}"),
        "url": lambda target: file_data("", url=target.forbidden_url),
        "url as path": lambda target: file_data(target.forbidden_url),
        "public url as path": lambda _: file_data("https://huggingface.co/x.png"),
        "file: url": lambda target: file_data(f"file://{target.secret}"),
        "svg by path": lambda _: file_data("/etc/passwd", "x.svg"),
        "number as path": lambda _: file_data(7),
        "list": lambda _: [file_data("/etc/passwd")],
        "text": lambda _: "/etc/passwd",
        "device": lambda _: file_data("/dev/zero"),
        "NUL": lambda _: file_data("/tmp/a\0b"),
        "data: url": lambda _: file_data("", url=image_url),
    }

    def kind(value: Callable[[Target], Any]) -> RequestKind:
        return RequestKind(
            lambda target, visitor: target.press_enlarge(visitor, [[MODEL], value(target), None], (96, 80)),
            Outcome.REFUSED,
        )

    return {f"payload: {name}": kind(value) for name, value in values.items()}
