"""A visitor of the page: sends requests like a browser, uploads files, waits in the queue, or hangs up."""

import json
import socket
import time
import uuid
from typing import Any

import httpx

TIMEOUT = 240.0  # seconds that one request may take
QUEUE = "/gradio_api/queue"


class ViolationError(Exception):
    """The server did something forbidden."""


class RefusedError(Exception):
    """The server answered with an error."""

    def __init__(self, status: int, text: bytes) -> None:
        """Store the HTTP status and the text of the response."""
        super().__init__(text.decode(errors="replace"))
        self.status = status


def client_of(port: int) -> httpx.Client:
    """An HTTP client for a server on this machine, with a new connection for each request."""
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Accept-Encoding": "identity"},  # uncompressed, to search responses for secrets
        timeout=TIMEOUT,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        trust_env=False,  # no proxy
    )


class Visitor:
    """A browser with its own session."""

    def __init__(self, client: httpx.Client) -> None:
        """Begin a session without sending anything."""
        self.client, self.session = client, uuid.uuid4().hex

    def request(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> tuple[int, bytes]:
        """Status and content of the response to a request; the path is sent unchanged, ``..`` included."""
        headers = {"Content-Type": content_type} if content_type else {}
        response = self.client.request(method, "/", content=body, headers=headers, extensions=_target(path))
        return response.status_code, response.content

    def post(self, path: str, value: Any) -> tuple[int, bytes]:
        """Post a value as JSON."""
        return self.request("POST", path, json.dumps(value).encode(), "application/json")

    def upload(self, content: bytes, name: bytes = b"photo.png") -> str:
        """Upload a file.

        Returns:
            Where the server stored it.

        Raises:
            RefusedError: if it is not accepted.
        """
        status, text = self.request("POST", "/gradio_api/upload", *multipart(content, name))
        if status != 200:
            raise RefusedError(status, text)
        return str(json.loads(text)[0])

    def call(self, button: int, inputs: list[Any]) -> list[Any]:
        """Press a button, by its number in the queue, and wait for its outputs.

        Raises:
            RefusedError: if the response is an error.
        """
        status, text = self.join_queue({"data": inputs, "fn_index": button, "session_hash": self.session})
        if status != 200:
            raise RefusedError(status, text)
        return self.wait_for_outputs()

    def join_queue(self, body: Any) -> tuple[int, bytes]:
        """Join the queue; if it is full, retry as a user would."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            status, text = self.post(f"{QUEUE}/join", body)
            if status != 503 or time.monotonic() > deadline:
                return status, text
            time.sleep(0.5)

    def wait_for_outputs(self) -> list[Any]:
        """Listen to the queue until it sends the outputs.

        Raises:
            RefusedError: if it sends an error.
            ViolationError: if it sends neither.
        """
        deadline = time.monotonic() + TIMEOUT
        path = f"{QUEUE}/data?session_hash={self.session}"
        with self.client.stream("GET", "/", extensions=_target(path)) as response:
            for line in response.iter_lines():
                if time.monotonic() > deadline:
                    raise ViolationError(f"no answer in {TIMEOUT:.0f} s")
                if not line.startswith("data:"):
                    continue
                message = json.loads(line.removeprefix("data:"))
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        raise RefusedError(200, str(message["output"].get("error")).encode())
                    outputs: list[Any] = message["output"]["data"]
                    return outputs
                if message["msg"] == "unexpected_error":
                    raise RefusedError(200, str(message["message"]).encode())
        raise ViolationError("the queue ended without an answer")

    def hang_up(self, request: bytes, seconds: float) -> None:
        """Send the bytes of a request, complete or not, and close the connection after some seconds."""
        port = self.client.base_url.port
        assert port is not None
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
            connection.sendall(request)
            time.sleep(seconds)


def _target(path: str) -> dict[str, Any]:
    """An httpx extension that sends this path unchanged; from a URL, httpx would remove ``..``."""
    return {"target": path.encode()}


def multipart(content: bytes, name: bytes, field: bytes = b"files", is_file: bool = True) -> tuple[bytes, str]:
    """The body of a form with one file, or with one text field, and its content type."""
    header = b'Content-Disposition: form-data; name="' + field + b'"'
    header += b'; filename="' + name + b'"\r\nContent-Type: image/png' if is_file else b""
    return b"--edge\r\n" + header + b"\r\n\r\n" + content + b"\r\n--edge--\r\n", "multipart/form-data; boundary=edge"


def file_data(path: Any, name: str = "photo.png", **fields: Any) -> dict[str, Any]:
    """How a browser refers to an uploaded file."""
    return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}, **fields}
