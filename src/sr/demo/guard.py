"""What a page in the browser is asked, kept within bounds before Gradio sees it."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, TypeAlias

log = logging.getLogger(__name__)

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_FORM = 100_000  # bytes around an upload
_MOST_JSON = 1_000_000
_MOST_PATH = 4096
_ASKS_AN_ADDRESS = re.compile(r"(file[=/]|proxy=)/*[a-z]{2,}:", re.IGNORECASE)
_ADDRESS = re.compile(r"\s*[a-z]{2,}:", re.IGNORECASE)


class Guard:
    """An ASGI layer that answers what goes too far, in one line, and hands the rest on.

    Bodies are bounded: Gradio bounds files only, and holds the rest in memory. Nothing makes the server ask another
    address: Gradio would fetch a file that is named by one. What fails is told to the log alone: some versions of
    Gradio answer with a traceback.
    """

    def __init__(self, app: App, max_upload: int, tidy: Callable[[], None]) -> None:
        """Stand before an application.

        Args:
            app: the application.
            max_upload: bytes of an uploaded file.
            tidy: called, in a thread, before each upload.
        """
        self.app, self.max_upload, self.tidy = app, max_upload, tidy

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = str(scope["path"])
        if len(path) > _MOST_PATH:
            return await _answer(send, 414, "the address is too long")
        if _ASKS_AN_ADDRESS.search(path):
            return await _answer(send, 403, "only files of this page are given")
        if scope["method"] != "POST":
            return await self._ask(scope, receive, send)
        form = path.rstrip("/").endswith("/upload")
        most = self.max_upload + _FORM if form else _MOST_JSON
        length = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
        if not length.isdecimal():
            return await _answer(send, 411, "the request does not say how long it is")
        if int(length) > most:
            await _read(receive, keep=False)  # a browser reads no answer before it has sent everything
            return await _answer(send, 413, f"the request has more than {most // 1_000_000} MB")
        if form:
            await asyncio.to_thread(self.tidy)
            return await self._ask(scope, receive, send)
        body = await _read(receive)
        if any(_ADDRESS.match(path) for path in _paths(body)):
            return await _answer(send, 403, "only files of this page are taken: upload the picture")
        return await self._ask(scope, _again(body, receive), send)

    async def _ask(self, scope: Message, receive: Receive, send: Send) -> None:
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, sent)
        except Exception:
            log.exception("%s failed", scope["path"])
            if not begun:
                await _answer(send, 500, "something went wrong; the log says what")


async def _answer(send: Send, status: int, text: str) -> None:
    head = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": text.encode()})


async def _read(receive: Receive, *, keep: bool = True) -> bytes:
    """The body of a request, up to where the other side hangs up."""
    parts = []
    while True:
        message = await receive()
        if keep:
            parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """What receives a body that was read already."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _paths(body: bytes) -> Iterator[str]:
    """The files that JSON names; none for what is not JSON, which the application refuses."""
    try:
        waiting = [json.loads(body)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                yield value["path"]
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
