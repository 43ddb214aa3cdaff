"""Requests that bypass the page: paths that must be refused, malformed bodies, and visitors that hang up."""

import uuid
from collections.abc import Callable

import sr
from tests.support.demo_load.pictures import encoded, photograph
from tests.support.demo_load.target import MODEL, Outcome, RequestKind, Target
from tests.support.demo_load.visitor import QUEUE, RefusedError, Visitor, file_data, multipart

_JOIN = f"{QUEUE}/join"
_UPLOAD = "/gradio_api/upload"


def path_kinds() -> dict[str, RequestKind]:
    """Paths to files or addresses that the server must not serve."""
    paths: dict[str, Callable[[Target], str]] = {
        "/etc/passwd": lambda _: "/gradio_api/file=/etc/passwd",
        "old route": lambda _: "/file=/etc/passwd",
        "oldest route": lambda _: "/gradio_api/file//etc/passwd",
        "up": lambda target: f"/gradio_api/file={target.temporary}/../{target.secret.name}",
        "up, escaped": lambda target: f"/gradio_api/file={target.temporary}%2f..%2f{target.secret.name}",
        "own code": lambda _: f"/gradio_api/file={sr.__file__}",
        "address": lambda target: f"/gradio_api/file={target.forbidden_url}",
        "public address": lambda _: "/gradio_api/file=https://huggingface.co/x",
        "address, old route": lambda target: f"/gradio_api/file/{target.forbidden_url}",
        "proxy": lambda target: f"/gradio_api/proxy={target.forbidden_url}",
        "static": lambda _: "/static/" + "..%2f" * 8 + "etc%2fpasswd",
        "assets": lambda _: "/assets/" + "%2e%2e/" * 8 + "etc/passwd",
        "NUL": lambda _: "/gradio_api/file=/etc/passwd%00.png",
        "long": lambda _: "/gradio_api/file=/" + "a" * 20_000,
        "unknown session": lambda _: f"{QUEUE}/data_?session_hash={uuid.uuid4().hex}",
    }

    def kind(path: Callable[[Target], str]) -> RequestKind:
        return RequestKind(lambda target, visitor: target.fetch_forbidden(visitor, path(target)), Outcome.REFUSED)

    return {f"get: {name}": kind(path) for name, path in paths.items()}


_Post = Callable[[Target, Visitor], tuple[int, bytes]]


def body_kinds() -> dict[str, RequestKind]:
    """Bodies that are malformed, incomplete or too large."""
    png = encoded(photograph(48, 40, 0))
    server_call = {"data": "/", "component_id": 1, "session_hash": "x", "fn_name": "__init__"}
    refused: dict[str, _Post] = {
        "not JSON": lambda _, visitor: visitor.request("POST", _JOIN, b"{", "application/json"),
        "deep JSON": lambda _, visitor: visitor.request("POST", _JOIN, b"[" * 200_000, "application/json"),
        "empty": lambda _, visitor: visitor.post(_JOIN, {}),
        "no session": lambda target, visitor: visitor.post(_JOIN, {"data": [], "fn_index": target.buttons["enlarge"]}),
        "too few inputs": lambda target, visitor: visitor.join_queue(
            {"data": [MODEL], "fn_index": target.buttons["enlarge"], "session_hash": visitor.session}
        ),
        "no such button": lambda _, visitor: visitor.join_queue(
            {"data": [], "fn_index": 4711, "session_hash": visitor.session}
        ),
        "64 MB of JSON": lambda _, visitor: visitor.post(_JOIN, {"data": ["x" * 64_000_000]}),
        "64 MB in a field": lambda _, visitor: visitor.request(
            "POST", _UPLOAD, *multipart(bytes(64_000_000), b"", is_file=False)
        ),
        "no form": lambda _, visitor: visitor.request("POST", _UPLOAD, b"x", "text/plain"),
        "no edge": lambda _, visitor: visitor.request("POST", _UPLOAD, b"x", "multipart/form-data"),
        "component server": lambda _, visitor: visitor.post("/gradio_api/component_server", server_call),
    }

    def kind(post: _Post, expected: Outcome | None = Outcome.REFUSED) -> RequestKind:
        def send(target: Target, visitor: Visitor) -> Outcome:
            status, text = post(target, visitor)
            if status >= 400:
                raise RefusedError(status, text)
            visitor.wait_for_outputs()
            return Outcome.IMAGE

        return RequestKind(send, expected)

    def other_field(_: Target, visitor: Visitor) -> tuple[int, bytes]:
        return visitor.request("POST", _UPLOAD, *multipart(png, b"x.png", b"other"))

    kinds = {f"body: {name}": kind(post) for name, post in refused.items()}
    return kinds | {"body: other field": kind(other_field, None)}


def hang_up_kinds() -> dict[str, RequestKind]:
    """Visitors that close the connection too early."""
    png = encoded(photograph(48, 40, 0))
    head = b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\n"
    half = head + b"Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: 5000000\r\n\r\n"
    half += multipart(bytes(1_000_000), b"half.png")[0][:-20]

    def in_the_head(_: Target, visitor: Visitor) -> Outcome:
        visitor.hang_up(head, 3)
        return Outcome.HUNG_UP

    def in_an_upload(_: Target, visitor: Visitor) -> Outcome:
        visitor.hang_up(half, 0.1)
        return Outcome.HUNG_UP

    def in_the_queue(target: Target, visitor: Visitor) -> Outcome:
        inputs = [[MODEL], file_data(visitor.upload(png)), None]
        visitor.join_queue({"data": inputs, "fn_index": target.buttons["enlarge"], "session_hash": visitor.session})
        listen = f"GET {QUEUE}/data?session_hash={visitor.session} HTTP/1.1\r\nHost: x\r\n\r\n"
        visitor.hang_up(listen.encode(), 0.3)
        return Outcome.HUNG_UP

    hang_ups = {"in the head": in_the_head, "in an upload": in_an_upload, "in the queue": in_the_queue}
    return {f"hang up: {name}": RequestKind(send, Outcome.HUNG_UP) for name, send in hang_ups.items()}
