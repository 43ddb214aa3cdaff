"""Limits on the requests to the demo, checked before Gradio sees them."""

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

_FORM_BYTES = 100_000  # of an upload request, around the file
_MAX_JSON = 1_000_000
_MAX_PATH = 4096
_PATH_WITH_URL = re.compile(r"(file[=/]|proxy=)/*[a-z]{2,}:", re.IGNORECASE)
_URL = re.compile(r"\s*[a-z]{2,}:", re.IGNORECASE)


class Guard:
    """ASGI middleware that refuses harmful requests with one line and passes the others on.

    The size of every body is limited: Gradio limits files only, and keeps the rest in memory. No request makes the
    server open a URL: Gradio would download a file that is given as one. Errors go to the log only: some versions of
    Gradio answer with a traceback.
    """

    def __init__(self, app: App, max_upload: int, tidy: Callable[[], None]) -> None:
        """Wrap an application.

        Args:
            app: the application.
            max_upload: most bytes of an uploaded file.
            tidy: called, in a thread, before each upload.
        """
        self.app, self.max_upload, self.tidy = app, max_upload, tidy

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = str(scope["path"])
        if len(path) > _MAX_PATH:
            return await _answer(send, 414, "the address is too long")
        if _PATH_WITH_URL.search(path):
            return await _answer(send, 403, "only files of this page are served")
        if scope["method"] != "POST":
            return await self._forward(scope, receive, send)
        form = path.rstrip("/").endswith("/upload")
        limit = self.max_upload + _FORM_BYTES if form else _MAX_JSON
        length = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
        if not length.isdecimal():
            return await _answer(send, 411, "the request has no content length")
        if int(length) > limit:
            await _read(receive, keep=False)  # a browser reads no answer before it has sent everything
            return await _answer(send, 413, f"the request has more than {limit // 1_000_000} MB")
        if form:
            await asyncio.to_thread(self.tidy)
            return await self._forward(scope, receive, send)
        body = await _read(receive)
        if any(_URL.match(path) for path in _paths(body)):
            return await _answer(send, 403, "only uploaded files are accepted: upload the picture")
        return await self._forward(scope, _again(body, receive), send)

    async def _forward(self, scope: Message, receive: Receive, send: Send) -> None:
        started = False

        async def forwarded(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, forwarded)
        except Exception:
            log.exception("%s failed", scope["path"])
            if not started:
                await _answer(send, 500, "something went wrong; see the log of the server")


async def _answer(send: Send, status: int, text: str) -> None:
    head = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": text.encode()})


async def _read(receive: Receive, *, keep: bool = True) -> bytes:
    """The body of a request, up to its end or until the client disconnects."""
    parts = []
    while True:
        message = await receive()
        if keep:
            parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Receive a body that was read already, then whatever follows."""
    delivered = False

    async def again() -> Message:
        nonlocal delivered
        if delivered:
            return await receive()
        delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _paths(body: bytes) -> Iterator[str]:
    """The file paths in a JSON body; none if it is not JSON, which the application refuses."""
    try:
        pending = [json.loads(body)]
    except (ValueError, RecursionError):
        return
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                yield value["path"]
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
