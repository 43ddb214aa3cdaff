import asyncio
import json
from collections.abc import Sequence

import pytest

from sr.demo.guard import Guard, Message, Receive, Send

UPLOAD = "/gradio_api/upload"
JOIN = "/gradio_api/queue/join"


class Asked:
    """A guard before an application that notes what it is asked, and what was answered."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.tidied = self.unread = 0

    async def application(self, scope: Message, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(body)
        if body == b"fail":
            raise RuntimeError("a secret")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    def tidy(self) -> None:
        self.tidied += 1

    def __call__(
        self, path: str, parts: Sequence[bytes] = (b"",), method: str = "POST", length: bytes | None = None
    ) -> tuple[int, str]:
        waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        waiting[-1]["more_body"] = False
        said: list[Message] = []

        async def receive() -> Message:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            said.append(message)

        length = str(sum(map(len, parts))).encode() if length is None else length
        headers = [(b"content-length", length)] if length else []
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        asyncio.run(Guard(self.application, 1_000_000, self.tidy)(scope, receive, send))
        self.unread = len(waiting)
        return said[0]["status"], said[1]["body"].decode()


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_what_is_within_bounds_is_handed_on_as_it_is(asked: Asked) -> None:
    body = json.dumps({"data": [{"path": "/tmp/x.png", "url": "http://127.0.0.1/file=/tmp/x.png"}]}).encode()
    assert asked("/", method="GET") == (200, "fine")
    assert asked(JOIN, [body[:10], body[10:]]) == (200, "fine")
    assert asked(UPLOAD, [bytes(600_000), bytes(400_000)]) == (200, "fine")
    assert asked(JOIN, [b"no json"]) == (200, "fine")
    assert asked(JOIN, [b"[" * 100_000]) == (200, "fine")
    assert asked.bodies == [b"", body, bytes(1_000_000), b"no json", b"[" * 100_000]
    assert asked.tidied == 1


@pytest.mark.parametrize("path", [UPLOAD, JOIN])
def test_a_body_that_is_too_long_is_refused_when_it_was_sent(asked: Asked, path: str) -> None:
    assert asked(path, [bytes(600_000), bytes(600_000)]) == (413, "the request has more than 1 MB")
    assert asked.unread == 0  # a browser reads no answer before
    assert asked.bodies == []


def test_a_body_of_unknown_length_and_an_endless_address_are_refused(asked: Asked) -> None:
    for length in (b"", b"-2", b"1e3"):
        assert asked(JOIN, [b"{}"], length=length) == (411, "the request has no content length")
    assert asked("/" + "x" * 5000, method="GET") == (414, "the address is too long")
    assert asked.bodies == []


@pytest.mark.parametrize("address", ["http://127.0.0.1/x", "HTTPS://huggingface.co/x", "file:///etc/passwd"])
def test_no_address_is_asked_for_a_file(asked: Asked, address: str) -> None:
    for path in (address, f" {address}"):
        body = {"data": ["x", [{"deep": {"path": path}}]]}
        assert asked(JOIN, [json.dumps(body).encode()]) == (
            403,
            "only uploaded files are accepted: upload the picture",
        )
    for route in ("file=", "file/", "proxy=", "file=//"):
        assert asked(f"/gradio_api/{route}{address}", method="GET") == (403, "only files of this page are served")
    assert asked.bodies == []


def test_what_fails_is_told_to_the_log_alone(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    assert asked(JOIN, [b"fail"]) == (500, "something went wrong; see the log of the server")
    assert "a secret" in caplog.text
    assert f"{JOIN} failed" in caplog.text
