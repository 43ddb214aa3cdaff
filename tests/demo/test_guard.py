import asyncio
import json
from collections.abc import Sequence

import pytest

from sr.demo.guard import Guard, Message, Receive, Send

UPLOAD = "/gradio_api/upload"
JOIN = "/gradio_api/queue/join"


class GuardedApp:
    """A guarded application that records the requests that reach it; call it to send one."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.tidy_calls = self.unread = 0

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
        self.tidy_calls += 1

    def __call__(
        self, path: str, parts: Sequence[bytes] = (b"",), method: str = "POST", length: bytes | None = None
    ) -> tuple[int, str]:
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        messages[-1]["more_body"] = False
        sent_messages: list[Message] = []

        async def receive() -> Message:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent_messages.append(message)

        length = str(sum(map(len, parts))).encode() if length is None else length
        headers = [(b"content-length", length)] if length else []
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        asyncio.run(Guard(self.application, 1_000_000, self.tidy)(scope, receive, send))
        self.unread = len(messages)
        assert [message["type"] for message in sent_messages] == ["http.response.start", "http.response.body"]
        return sent_messages[0]["status"], sent_messages[1]["body"].decode()


@pytest.fixture
def guarded_app() -> GuardedApp:
    return GuardedApp()


def test_requests_within_bounds_are_passed_on_unchanged(guarded_app: GuardedApp) -> None:
    body = json.dumps({"data": [{"path": "/tmp/x.png", "url": "http://127.0.0.1/file=/tmp/x.png"}]}).encode()
    assert guarded_app("/", method="GET") == (200, "fine")
    assert guarded_app(JOIN, [body[:10], body[10:]]) == (200, "fine")
    assert guarded_app(UPLOAD, [bytes(600_000), bytes(400_000)]) == (200, "fine")
    assert guarded_app(JOIN, [b"no json"]) == (200, "fine")
    assert guarded_app(JOIN, [b"[" * 100_000]) == (200, "fine")
    assert guarded_app.bodies == [b"", body, bytes(1_000_000), b"no json", b"[" * 100_000]
    assert guarded_app.tidy_calls == 1


@pytest.mark.parametrize("path", [UPLOAD, JOIN])
def test_a_body_that_is_too_long_is_refused_after_reading_it(guarded_app: GuardedApp, path: str) -> None:
    assert guarded_app(path, [bytes(600_000), bytes(600_000)]) == (413, "the request has more than 1 MB")
    assert guarded_app.unread == 0  # browsers read the response only after sending the body
    assert guarded_app.bodies == []


def test_a_body_of_unknown_length_and_an_overlong_address_are_refused(guarded_app: GuardedApp) -> None:
    for length in (b"", b"-2", b"1e3"):
        assert guarded_app(JOIN, [b"{}"], length=length) == (411, "the request has no content length")
    assert guarded_app("/" + "x" * 5000, method="GET") == (414, "the address is too long")
    assert guarded_app.bodies == []


@pytest.mark.parametrize("address", ["http://127.0.0.1/x", "HTTPS://huggingface.co/x", "file:///etc/passwd"])
def test_files_are_not_fetched_from_addresses(guarded_app: GuardedApp, address: str) -> None:
    for path in (address, f" {address}"):
        body = {"data": ["x", [{"deep": {"path": path}}]]}
        assert guarded_app(JOIN, [json.dumps(body).encode()]) == (
            403,
            "only uploaded files are accepted: upload the picture",
        )
    for route in ("file=", "file/", "proxy=", "file=//"):
        assert guarded_app(f"/gradio_api/{route}{address}", method="GET") == (403, "only files of this page are served")
    assert guarded_app.bodies == []


def test_the_cause_of_a_failure_is_only_logged(guarded_app: GuardedApp, caplog: pytest.LogCaptureFixture) -> None:
    assert guarded_app(JOIN, [b"fail"]) == (500, "something went wrong; see the log of the server")
    assert "a secret" in caplog.text
    assert f"{JOIN} failed" in caplog.text


@pytest.mark.parametrize(("path", "most"), [(UPLOAD, 1_100_000), (f"{UPLOAD}/", 1_100_000), (JOIN, 1_000_000)])
def test_a_body_may_be_as_long_as_the_limit_and_no_longer(guarded_app: GuardedApp, path: str, most: int) -> None:
    assert guarded_app(path, [bytes(most)])[0] == 200
    assert guarded_app(path, [bytes(most + 1)])[0] == 413
    assert guarded_app(path, [bytes(most)], length=str(most + 1).encode())[0] == 413


def test_an_address_may_be_as_long_as_the_limit_and_no_longer(guarded_app: GuardedApp) -> None:
    assert guarded_app("/" * 4096, method="GET")[0] == 200
    assert guarded_app("/" * 4097, method="GET")[0] == 414


def test_uploads_are_tidied_only_before_an_upload(guarded_app: GuardedApp) -> None:
    guarded_app(UPLOAD, [b"x"])
    guarded_app(UPLOAD, [b"x"])
    guarded_app(JOIN, [b"{}"])
    guarded_app("/", method="GET")
    assert guarded_app.tidy_calls == 2


def test_other_messages_than_http_requests_are_passed_on() -> None:
    scopes: list[Message] = []

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    async def fail_to_receive() -> Message:
        raise AssertionError("nothing is received")

    async def fail_to_send(message: Message) -> None:
        raise AssertionError("nothing is sent")

    asyncio.run(Guard(application, 1, lambda: None)({"type": "lifespan"}, fail_to_receive, fail_to_send))
    assert scopes == [{"type": "lifespan"}]
