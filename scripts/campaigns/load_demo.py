"""Load on `sr demo`: many visitors at once, honest and hostile, and what the server opened, wrote and held meanwhile.

python -m scripts.campaigns.load_demo              # a few minutes on two cores; writes benchmarks/load.json
python -m scripts.campaigns.load_demo --clients 8 --each 1

The real command is started on a free port of this machine and asked over HTTP as a browser asks: uploads, the queue,
its answers. Each request has to end in an image of the right size or in an error of one line; the page has to answer
afterwards; memory, threads and the temporary folder have to stay bounded; nothing but its temporary folder may be
written, and no address asked. Linux's strace, where it is installed, says what was opened. Exit code 1 if anything is
violated.
"""

import argparse
import base64
import http.client
import io
import json
import os
import queue
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from PIL import Image

import sr
from scripts.bench.timing import save

MODEL, SCALE = "espcn_x2", 2
MOST_BYTES = 20_000_000  # of an upload, as the page has it
MEMORY = 2_000_000_000  # bytes that the server may hold beyond what it held before the load
THREADS = 128
TEMPORARY = 4_500_000_000  # bytes that its folder may hold
_PATIENCE = 240.0  # seconds that one request may take
_IMAGE, _REFUSED = "image", "refused"


class ViolationError(Exception):
    """What a server must not do."""


def photograph(width: int, height: int, seed: int) -> Image.Image:
    """A smooth picture with some noise, RGB."""
    values = np.random.default_rng(seed)
    coarse = Image.fromarray(values.integers(0, 256, (4, 5, 3), np.uint8)).resize((width, height))
    noise = values.integers(-8, 9, (height, width, 3))
    return Image.fromarray((np.asarray(coarse).astype(int) + noise).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as the content of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A PNG of a few hundred kilobytes at most that says it has so many pixels, and has them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = bytes(1 + -(-width // 8))
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


class Visitor:
    """One browser: a connection for each request, as bare as the hostile ones need it."""

    def __init__(self, port: int) -> None:
        """Nothing is asked yet."""
        self.port, self.session = port, uuid.uuid4().hex

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str | None = None) -> tuple[int, bytes]:
        """Status and content of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, path: str, value: Any) -> tuple[int, bytes]:
        """Post JSON."""
        return self.ask("POST", path, json.dumps(value).encode(), "application/json")

    def upload(self, content: bytes, name: bytes = b"photo.png") -> str:
        """Upload a file; where the server put it.

        Raises:
            Refused: if it does not take it.
        """
        status, text = self.ask("POST", "/gradio_api/upload", *multipart(content, name))
        if status != 200:
            raise Refused(status, text)
        return str(json.loads(text)[0])

    def call(self, function: int, data: list[Any]) -> list[Any]:
        """Press a button and wait for its answer.

        Raises:
            Refused: if there is an error instead.
        """
        status, text = self.join({"data": data, "fn_index": function, "session_hash": self.session})
        if status != 200:
            raise Refused(status, text)
        return self.answer()

    def join(self, body: Any) -> tuple[int, bytes]:
        """Stand in the queue; where it is full, again and again, as a user would."""
        until = time.monotonic() + _PATIENCE
        while True:
            status, text = self.post("/gradio_api/queue/join", body)
            if status != 503 or time.monotonic() > until:
                return status, text
            time.sleep(0.5)

    def answer(self) -> list[Any]:
        """Listen until the queue says that the work is done."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        until = time.monotonic() + _PATIENCE
        try:
            connection.request("GET", f"/gradio_api/queue/data?session_hash={self.session}")
            lines = connection.getresponse()
            while line := lines.readline():
                if time.monotonic() > until:
                    raise ViolationError(f"no answer in {_PATIENCE:.0f} s")
                if not line.startswith(b"data:"):
                    continue
                message = json.loads(line[5:])
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        raise Refused(200, str(message["output"].get("error")).encode())
                    found: list[Any] = message["output"]["data"]
                    return found
                if message["msg"] == "unexpected_error":
                    raise Refused(200, str(message["message"]).encode())
            raise ViolationError("the queue ended without an answer")
        finally:
            connection.close()


class Refused(Exception):  # noqa: N818
    """An error that the server answered."""

    def __init__(self, status: int, text: bytes) -> None:
        """As it came."""
        super().__init__(text.decode(errors="replace"))
        self.status = status


def multipart(content: bytes, name: bytes, field_name: bytes = b"files", file: bool = True) -> tuple[bytes, str]:
    """The body of a form with one file, or one field, and its type."""
    head = b'Content-Disposition: form-data; name="' + field_name + b'"'
    head += b'; filename="' + name + b'"\r\nContent-Type: image/png' if file else b""
    return b"--edge\r\n" + head + b"\r\n\r\n" + content + b"\r\n--edge--\r\n", "multipart/form-data; boundary=edge"


def stored(path: str, name: str = "photo.png", **more: Any) -> dict[str, Any]:
    """How a browser names an uploaded file."""
    return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}, **more}


@dataclass(frozen=True)
class Target:
    """The server, its buttons, a file that nobody may read, and an address that nobody may ask."""

    port: int
    buttons: dict[str, int]
    secret: Path
    elsewhere: str
    temporary: Path

    def enlarged(self, visitor: Visitor, content: bytes, size: tuple[int, int], name: bytes = b"photo.png") -> str:
        """Upload and enlarge; the answer has to have the size."""
        path = visitor.upload(content, name)
        if not Path(path).resolve().is_relative_to(self.temporary):
            raise ViolationError(f"an upload went to {path}")
        return self.result(visitor, [MODEL, stored(path), None], size)

    def result(self, visitor: Visitor, data: list[Any], size: tuple[int, int]) -> str:
        """Enlarge what was uploaded."""
        made = visitor.call(self.buttons["enlarge"], data)
        for one in (*made[0], made[1]):
            status, content = visitor.ask("GET", f"/gradio_api/file={quote(one['path'])}")
            if status != 200:
                raise ViolationError(f"the result cannot be fetched: {status}")
            with Image.open(io.BytesIO(content)) as image:
                if image.size != size:
                    raise ViolationError(f"a result of {image.size}, not {size}")
                image.load()
        return _IMAGE

    def fetched(self, visitor: Visitor, path: str) -> str:
        """Ask for what must not be given."""
        status, text = visitor.ask("GET", path)
        if asked := unquote(path.partition("=")[2]):
            text = text.replace(asked.encode(), b"FILE")  # Gradio says what it was asked
        if self.secret.read_bytes() in text or b"root:" in text:
            raise ViolationError(f"{path}: gave away a file")
        if status < 400:
            raise ViolationError(f"{path}: answered {status}")
        raise Refused(status, text)


Kind = Callable[[Target, Visitor], str]


def kinds() -> dict[str, tuple[Kind, str | None]]:
    """What is asked, by name, and how it has to end; None where an image and an error are both right."""
    photo = photograph(48, 40, 0)
    png = encoded(photo)
    large = encoded(photograph(2000, 1900, 1), "JPEG", quality=90)
    frames = encoded(photo, "GIF", save_all=True, append_images=[photograph(48, 40, 2)])
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/><script>alert(1)</script></svg>'
    program = Path(sys.executable).resolve().read_bytes()[:100_000]
    huge = bomb()

    found: dict[str, tuple[Kind, str | None]] = {}

    def enlarge(name: str, content: bytes, ends: str | None, side: tuple[int, int] = (96, 80)) -> None:
        found[name] = (lambda target, visitor: target.enlarged(visitor, content, side), ends)

    def named(name: str, file: bytes) -> None:
        found[f"file name: {name}"] = (lambda target, visitor: target.enlarged(visitor, png, (96, 80), file), None)

    def model(name: str, value: Any) -> None:
        def ask(target: Target, visitor: Visitor) -> str:
            path = visitor.upload(png)
            if visitor.session < "8":
                visitor.call(target.buttons["metrics"], [value])
            return target.result(visitor, [value, stored(path), None], (96, 80))

        found[f"model: {name}"] = (ask, _REFUSED)

    def payload(name: str, make: Callable[[Target], Any]) -> None:
        def ask(target: Target, visitor: Visitor) -> str:
            return target.result(visitor, [MODEL, make(target), None], (96, 80))

        found[f"payload: {name}"] = (ask, _REFUSED)

    def fetch(name: str, make: Callable[[Target], str]) -> None:
        found[f"get: {name}"] = (lambda target, visitor: target.fetched(visitor, make(target)), _REFUSED)

    def body(name: str, make: Callable[[Target, Visitor], tuple[int, bytes]], ends: str | None = _REFUSED) -> None:
        def ask(target: Target, visitor: Visitor) -> str:
            status, text = make(target, visitor)
            if status >= 400:
                raise Refused(status, text)
            visitor.answer()
            return _IMAGE

        found[f"body: {name}"] = (ask, ends)

    for number in range(4):
        width, height = 40 + 9 * number, 90 - 7 * number
        content = encoded(photograph(width, height, number), ("PNG", "JPEG", "WEBP", "TIFF")[number])
        enlarge(f"honest {number + 1}", content, _IMAGE, (2 * width, 2 * height))
    enlarge("honest, 3.8 megapixels", large, _IMAGE, (4000, 3800))
    enlarge("1x1", encoded(photograph(1, 1, 0)), _IMAGE, (2, 2))
    enlarge("100000x1", encoded(Image.new("RGB", (100_000, 1))), _IMAGE, (200_000, 2))
    enlarge("1x100000", encoded(Image.new("RGB", (1, 100_000))), _IMAGE, (2, 200_000))
    enlarge("animated GIF", frames, _IMAGE)
    enlarge("30000x30000", huge, _REFUSED)
    enlarge("12000x12000", bomb(12_000, 12_000), _REFUSED)
    enlarge("renamed program", program, _REFUSED)
    enlarge("truncated", png[: len(png) // 2], _REFUSED)
    enlarge("zero bytes", b"", _REFUSED)
    enlarge("SVG", svg, _REFUSED)
    enlarge("text", b"hello\nworld\n" * 100, _REFUSED)
    enlarge("over the size limit", bytes(MOST_BYTES + 1_000_000), _REFUSED)

    named("up", b"../../../../etc/cron.d/x.png")
    named("absolute", b"/etc/passwd")
    named("NUL", b"a\0b.png")
    named("NUL, escaped", b"a%00b.png")
    named("long", b"a" * 5000 + b".png")
    named("newline", b"a%0d%0aSet-Cookie: x=1.png")
    named("dots", b"..")
    named("empty", b"")
    named("backslashes", b"..\\..\\x.png")
    named("not UTF-8", b"\xff\xfe.png")
    named("svg", b"x.svg")

    for name, value in {
        "up": "../../x.ckpt",
        "absolute": "/etc/passwd",
        "address": "http://127.0.0.1:9/x.ckpt",
        "list": [MODEL],
        "dict": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
        "number": 7,
        "long": "x" * 100_000,
        "newlines": "a\nb\nTraceback (most recent call last)",
    }.items():
        model(name, value)

    payload("a path", lambda target: stored("/etc/passwd"))
    payload("a path without its kind", lambda target: {"path": str(target.secret)})
    payload("a picture elsewhere", lambda target: stored(str(target.secret.with_suffix(".png"))))
    payload("a picture elsewhere without its kind", lambda target: {"path": str(target.secret.with_suffix(".png"))})
    payload("a path upwards", lambda target: stored(f"{target.temporary}/../{target.secret.name}"))
    payload("url", lambda target: stored("", url=target.elsewhere))
    payload("url as path", lambda target: stored(target.elsewhere))
    payload("public url as path", lambda target: stored("https://huggingface.co/x.png"))
    payload("file: url", lambda target: stored(f"file://{target.secret}"))
    payload("svg by path", lambda target: stored("/etc/passwd", "x.svg"))
    payload("number as path", lambda target: stored(7))  # type: ignore[arg-type]
    payload("list", lambda target: [stored("/etc/passwd")])
    payload("text", lambda target: "/etc/passwd")
    payload("device", lambda target: stored("/dev/zero"))
    payload("NUL", lambda target: stored("/tmp/a\0b"))
    payload("data: url", lambda target: stored("", url="data:image/png;base64," + base64.b64encode(huge).decode()))

    fetch("/etc/passwd", lambda target: "/gradio_api/file=/etc/passwd")
    fetch("old route", lambda target: "/file=/etc/passwd")
    fetch("oldest route", lambda target: "/gradio_api/file//etc/passwd")
    fetch("up", lambda target: f"/gradio_api/file={target.temporary}/../{target.secret.name}")
    fetch("up, escaped", lambda target: f"/gradio_api/file={target.temporary}%2f..%2f{target.secret.name}")
    fetch("own code", lambda target: f"/gradio_api/file={sr.__file__}")
    fetch("address", lambda target: f"/gradio_api/file={target.elsewhere}")
    fetch("public address", lambda target: "/gradio_api/file=https://huggingface.co/x")
    fetch("address, old route", lambda target: f"/gradio_api/file/{target.elsewhere}")
    fetch("proxy", lambda target: f"/gradio_api/proxy={target.elsewhere}")
    fetch("static", lambda target: "/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd")
    fetch("assets", lambda target: "/assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd")
    fetch("NUL", lambda target: "/gradio_api/file=/etc/passwd%00.png")
    fetch("long", lambda target: "/gradio_api/file=/" + "a" * 20_000)
    fetch("unknown session", lambda target: f"/gradio_api/queue/data_?session_hash={uuid.uuid4().hex}")

    join = "/gradio_api/queue/join"
    body("not JSON", lambda target, visitor: visitor.ask("POST", join, b"{", "application/json"))
    body("deep JSON", lambda target, visitor: visitor.ask("POST", join, b"[" * 200_000, "application/json"))
    body("empty", lambda target, visitor: visitor.post(join, {}))
    body(
        "no session",
        lambda target, visitor: visitor.post(join, {"data": [], "fn_index": target.buttons["enlarge"]}),
    )
    body(
        "too few inputs",
        lambda target, visitor: visitor.join(
            {"data": [MODEL], "fn_index": target.buttons["enlarge"], "session_hash": visitor.session}
        ),
    )
    body(
        "no such button",
        lambda target, visitor: visitor.join({"data": [], "fn_index": 4711, "session_hash": visitor.session}),
    )
    body("64 MB of JSON", lambda target, visitor: visitor.post(join, {"data": ["x" * 64_000_000]}))
    body(
        "64 MB in a field",
        lambda target, visitor: visitor.ask(
            "POST", "/gradio_api/upload", *multipart(bytes(64_000_000), b"", file=False)
        ),
    )
    body("no form", lambda target, visitor: visitor.ask("POST", "/gradio_api/upload", b"x", "text/plain"))
    body(
        "no edge",
        lambda target, visitor: visitor.ask("POST", "/gradio_api/upload", b"x", "multipart/form-data"),
    )
    body(
        "other field",
        lambda target, visitor: visitor.ask("POST", "/gradio_api/upload", *multipart(png, b"x.png", b"other")),
        None,
    )
    body(
        "component server",
        lambda target, visitor: visitor.post(
            "/gradio_api/component_server", {"data": "/", "component_id": 1, "session_hash": "x", "fn_name": "__init__"}
        ),
    )

    def hang_up(request: bytes, wait: float = 0.1) -> Kind:
        def ask(target: Target, visitor: Visitor) -> str:
            with socket.create_connection(("127.0.0.1", target.port), _PATIENCE) as connection:
                connection.sendall(request.replace(b"SESSION", visitor.session.encode()))
                time.sleep(wait)
            return "hung up"

        return ask

    half = b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=edge\r\n"
    half += b"Content-Length: 5000000\r\n\r\n" + multipart(bytes(1_000_000), b"half.png")[0][:-20]
    found["hang up: in the head"] = (hang_up(b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\n", 3), "hung up")
    found["hang up: in an upload"] = (hang_up(half), "hung up")

    def leave(target: Target, visitor: Visitor) -> str:
        path = visitor.upload(png)
        visitor.join(
            {
                "data": [MODEL, stored(path), None],
                "fn_index": target.buttons["enlarge"],
                "session_hash": visitor.session,
            }
        )
        listen = f"GET /gradio_api/queue/data?session_hash={visitor.session} HTTP/1.1\r\nHost: x\r\n\r\n"
        return hang_up(listen.encode(), 0.3)(target, visitor)

    found["hang up: in the queue"] = (leave, "hung up")
    return found


@dataclass
class Served:
    """A server that runs."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    trace: Path | None
    temporary: Path
    before: int = 0
    peak: int = 0
    threads: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Note the most memory and threads of the server and its children, until it is told to stop."""
        while not self._stop.wait(0.05):
            memory, threads = held(self.process.pid)
            self.peak, self.threads = max(self.peak, memory), max(self.threads, threads)

    def stop(self) -> None:
        """No longer watch."""
        self._stop.set()


def held(pid: int) -> tuple[int, int]:
    """Resident bytes and threads of a process and its children."""
    memory = threads = 0
    for one in (pid, *_children(pid)):
        with suppress(OSError):
            status = Path(f"/proc/{one}/status").read_text()
            found = dict(re.findall(r"(?m)^(VmRSS|Threads):\s+(\d+)", status))
            memory += int(found.get("VmRSS", 0)) * 1024
            threads += int(found.get("Threads", 0))
    return memory, threads


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                name = Path(f"/proc/{child}/comm").read_text().strip()
                found += [] if name == "strace" else [int(child), *_children(int(child))]
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


_TRACED = "open,openat,openat2,creat,connect,execve,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link"
_TRACED += ",linkat,symlink,symlinkat,truncate,chmod,fchmodat,chown,fchownat,mknod,mknodat"


@contextmanager
def server(place: Path, runs: Path | None = None) -> Iterator[Served]:
    """Run `sr demo` until it answers; end it, and complain if it leaves anything behind.

    Raises:
        ViolationError: if it does not start, does not end, or leaves files.
    """
    home, temporary, work = place / "home", place / "temporary", place / "work"
    for folder in (home, temporary, work):
        folder.mkdir()
    port, log = free_port(), place / "demo.log"
    words = [sys.executable, "-c", "from sr.cli import main; main()", "demo", "--port", str(port), "--device", "cpu"]
    words += ["--runs", str(runs or work)]
    trace = place / "strace.txt" if shutil.which("strace") else None
    if trace:
        # -D: the server stays the process that was started; -y: folders that paths are relative to
        head = ["strace", "-D", "-f", "-ttt", "-y", "-s", "4096", "--seccomp-bpf", "-e", f"trace={_TRACED}"]
        words = [*head, "-e", "signal=none", "-o", str(trace), *words]
    own = {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    own["PYTHONPATH"] = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)  # the same sr
    with log.open("wb") as file:
        process = subprocess.Popen(words, cwd=work, env={**os.environ, **own}, stdout=file, stderr=file)
    served = Served(process, port, log, trace, temporary)
    try:
        until = time.monotonic() + 120
        while True:
            with suppress(OSError):
                if Visitor(port).ask("GET", "/config")[0] == 200:
                    break
            if process.poll() is not None or time.monotonic() > until:
                raise ViolationError(f"sr demo does not start: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield served
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired as error:
            raise ViolationError("does not end on SIGTERM") from error
        if left := sorted(path.name for path in temporary.iterdir()):
            raise ViolationError(f"left behind: {', '.join(left)}")
    finally:
        served.stop()
        if process.poll() is None:
            process.kill()
            process.wait()


def buttons(port: int) -> dict[str, int]:
    """What the page's buttons are called in its queue, by their names in the page."""
    config = json.loads(Visitor(port).ask("GET", "/config")[1])
    names = {one["id"]: one["props"].get("elem_id") for one in config["components"]}
    return {
        names[target]: one["id"] for one in config["dependencies"] for target, _ in one["targets"] if names.get(target)
    }


@contextmanager
def secret_address() -> Iterator[tuple[str, list[str]]]:
    """An address on this machine, and who asked it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(encoded(photograph(48, 40, 0)))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}/secret.png", asked
        listening.shutdown()


def load(
    target: Target, asked: dict[str, tuple[Kind, str | None]], clients: int, each: int, seconds: float, seed: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Ask everything so many times, by so many at once; a row for each kind, and what was violated."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    names = list(asked) * each
    random.Random(seed).shuffle(names)
    for name in names:
        waiting.put(name)
    ends: dict[str, list[tuple[str, float, str]]] = defaultdict(list)
    violations: list[str] = []
    begin = threading.Barrier(clients)
    until = time.monotonic() + seconds

    def work() -> None:
        begin.wait()
        while time.monotonic() < until:
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                return
            begun = time.monotonic()
            end, text = _one(target, *asked[name])
            if end == "violated":
                violations.append(f"{name}: {text}")
            ends[name].append((end, time.monotonic() - begun, text))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until + 10 - time.monotonic()))
    if (unanswered := len(names) - sum(map(len, ends.values()))) > 0:
        violations.append(f"{unanswered} of {len(names)} requests without an answer in {seconds:.0f} s")
    rows = []
    for name in asked:
        found = ends[name]
        counts = [sum(end == wanted for end, _, _ in found) for wanted in (_IMAGE, _REFUSED, "hung up", "violated")]
        row: dict[str, Any] = {"asked": name, "sent": len(found), "image": counts[0], "refused": counts[1]}
        row |= {"hung up": counts[2], "violated": counts[3]}
        row |= {"slowest_seconds": round(max((seconds for _, seconds, _ in found), default=0.0), 2)}
        rows.append(row | {"said": next((text for _, _, text in found if text), "")[:100]})
    return rows, violations


def _one(target: Target, ask: Kind, wanted: str | None) -> tuple[str, str]:
    """How one request ended, and what was said."""
    try:
        end = ask(target, Visitor(target.port))
    except Refused as error:
        text = str(error)
        if len(text.strip().splitlines()) > 1 or "Traceback (" in text:
            return "violated", f"an error of several lines: {text[:300]!r}"
        if len(text) > 1000:
            return "violated", f"an error of {len(text)} characters"
        if str(target.temporary) in text or "site-packages" in text:
            return "violated", f"an error that names the server's folders: {text[:300]}"
        end = _REFUSED
        return ("violated", f"refused: {text[:200]}") if wanted == _IMAGE else (end, text)
    except Exception as error:
        return "violated", f"{type(error).__name__}: {error}"
    return ("violated", f"ended in {end}") if wanted and end != wanted else (end, "")


_CALL = re.compile(r"^\d+\s+(?P<time>[\d.]+) (?P<name>\w+)\((?P<rest>.*)$")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<at>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')


def observed(trace: Path, since: float, writable: tuple[Path, ...], readable: tuple[Path, ...]) -> list[str]:
    """What a server opened, wrote, started or connected to that it must not, by strace."""
    found: set[str] = set()
    for line in trace.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if not match or float(match["time"]) < since or "resumed>" in line:
            continue
        name, rest = match["name"], match["rest"]
        if name == "connect":
            if "AF_INET" in rest:
                found.add(f"connects: {rest[:120]}")
            continue
        if name == "execve":
            found.add(f"starts: {rest[:120]}")
            continue
        writes = not name.startswith("open") or re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", rest)
        if writes and name.startswith("open") and '"/dev/null"' in rest:
            continue
        for one in _PATH.finditer(rest):
            path = Path(os.path.normpath(Path(one["at"] or "/", one["path"].encode().decode("unicode_escape"))))
            allowed = writable if writes else (*writable, *readable)
            if not any(path.is_relative_to(folder) for folder in allowed):
                found.add(f"{'writes' if writes else 'reads'}: {path}")
    return sorted(found)


def readable(runs: Path | None) -> tuple[Path, ...]:
    """What a server may read while it serves: its code and configuration, never a user's files."""
    places = [*sys.path, sys.prefix, sys.base_prefix, str(Path(sr.__file__).parent)]
    code = {Path(place).resolve() for place in places if place}
    system = (
        "/usr/lib",
        "/lib",
        "/lib64",
        "/usr/share",
        "/usr/local/lib",
        "/proc",
        "/sys",
        "/dev/null",
        "/dev/urandom",
    )
    more = ("/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/etc/fonts")
    return (*code, *map(Path, (*system, *more)), *([runs.resolve()] if runs else []))


def size_of(folder: Path) -> tuple[int, int]:
    """Files below a folder, and their bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def campaign(
    clients: int, each: int, seconds: float, seed: int = 0, only: str = "", runs: Path | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    """Start a server, load it, look at it, end it; rows, facts, and what was violated."""
    violations: list[str] = []
    facts: dict[str, Any] = {"clients": clients}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, secret_address() as (elsewhere, who):
        place = Path(name).resolve()
        secret = place / "secret.txt"
        secret.write_text(uuid.uuid4().hex)
        secret.with_suffix(".png").write_bytes(encoded(photograph(48, 40, 0)))
        try:
            with server(place, runs) as served:
                target = Target(served.port, buttons(served.port), secret, elsewhere, served.temporary)
                _warm_up(target)
                since = time.time()
                served.before = held(served.process.pid)[0]
                watching = threading.Thread(target=served.watch, daemon=True)
                watching.start()
                chosen = {kind: one for kind, one in kinds().items() if only in kind}
                begun = time.monotonic()
                rows, violations = load(target, chosen, clients, each, seconds, seed)
                facts["seconds"] = round(time.monotonic() - begun, 1)
                facts["requests"] = sum(row["sent"] for row in rows)
                if served.process.poll() is not None:
                    violations.append(f"the server ended with {served.process.returncode}")
                elif (end := _one(target, *kinds()["honest 1"]))[0] != _IMAGE:
                    violations.append(f"afterwards: {end[1]}")
                files, held_bytes = size_of(served.temporary)
                served.stop()
                watching.join()
                facts |= {"memory_before": served.before, "memory_peak": served.peak, "threads_peak": served.threads}
                facts |= {"memory_after": held(served.process.pid)[0]}
                facts |= {"temporary_files": files, "temporary_bytes": held_bytes, "strace": served.trace is not None}
                if served.trace:
                    writable = (served.temporary, place / "home")
                    violations += observed(served.trace, since, writable, readable(runs))
                log = served.log.read_text(errors="replace")
                facts["tracebacks_in_log"] = log.count("Traceback (most recent call last)")
                facts["log"] = log
        except ViolationError as error:
            violations.append(str(error))
        violations += [f"asked for {path} elsewhere" for path in who]
    if facts.get("memory_peak", 0) - facts.get("memory_before", 0) > MEMORY:
        violations.append(f"{facts['memory_peak'] / 1e9:.1f} GB of memory, {facts['memory_before'] / 1e9:.1f} before")
    if facts.get("threads_peak", 0) > THREADS:
        violations.append(f"{facts['threads_peak']} threads")
    if facts.get("temporary_bytes", 0) > TEMPORARY:
        violations.append(f"{facts['temporary_bytes'] / 1e9:.1f} GB of temporary files")
    return rows, facts, violations


def _warm_up(target: Target) -> None:
    """What is loaded at the first request is loaded now: what is opened later is opened for a visitor."""
    for button, data in (("enlarge", None), ("metrics", [MODEL])):
        visitor = Visitor(target.port)
        if data is None:
            for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF"):
                target.enlarged(visitor, encoded(photograph(8, 8, 0), kind), (16, 16))
        else:
            visitor.call(target.buttons[button], data)


def main() -> None:
    """Load, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50, help="at once")
    parser.add_argument("--each", type=int, default=5, help="times that each kind is asked")
    parser.add_argument("--seconds", type=float, default=600, help="that the load may take")
    parser.add_argument("--only", default="", metavar="TEXT", help="kinds whose name holds it; nothing is written")
    parser.add_argument("--log", type=Path, metavar="FILE", help="where what the server said goes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows, facts, violations = campaign(options.clients, options.each, options.seconds, options.seed, options.only)
    log = facts.pop("log", "")
    if options.log:
        options.log.write_text(log)
    if options.only:
        print(*rows, facts, sep="\n")
    else:
        save("load", rows, facts=facts, violations=violations)
        print(facts)
    for one in violations:
        print(f"violated: {one}")
    if not facts.get("strace"):
        print("what was opened was not watched: strace is not installed")
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
