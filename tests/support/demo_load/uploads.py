"""Requests that upload a file: images, other contents, and malicious file names."""

import sys
from pathlib import Path

from PIL import Image

from sr.demo.uploads import MAX_UPLOAD
from tests.support.demo_load.pictures import bomb, encoded, photograph
from tests.support.demo_load.target import Outcome, RequestKind

_SIZE = (48, 40)
_ENLARGED = (96, 80)


def content_kinds() -> dict[str, RequestKind]:
    """Honest and hostile contents."""
    photo = photograph(*_SIZE, 0)
    png = encoded(photo)
    animation = encoded(photo, "GIF", save_all=True, append_images=[photograph(*_SIZE, 2)])
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/><script>alert(1)</script></svg>'
    program = Path(sys.executable).resolve().read_bytes()[:100_000]
    images = {
        "honest, 3.8 megapixels": (encoded(photograph(2000, 1900, 1), "JPEG", quality=90), (4000, 3800)),
        "1x1": (encoded(photograph(1, 1, 0)), (2, 2)),
        "100000x1": (encoded(Image.new("RGB", (100_000, 1))), (200_000, 2)),
        "1x100000": (encoded(Image.new("RGB", (1, 100_000))), (2, 200_000)),
        "animated GIF": (animation, _ENLARGED),
    }
    refused = {
        "30000x30000": bomb(),
        "12000x12000": bomb(12_000, 12_000),
        "renamed program": program,
        "truncated": png[: len(png) // 2],
        "zero bytes": b"",
        "SVG": svg,
        "text": b"hello\nworld\n" * 100,
        "over the size limit": bytes(MAX_UPLOAD + 1_000_000),
    }
    kinds = {}
    for number, file_format in enumerate(("PNG", "JPEG", "WEBP", "TIFF")):
        width, height = 40 + 9 * number, 90 - 7 * number
        content = encoded(photograph(width, height, number), file_format)
        kinds[f"honest {number + 1}"] = _upload(content, Outcome.IMAGE, (2 * width, 2 * height))
    kinds |= {name: _upload(content, Outcome.IMAGE, size) for name, (content, size) in images.items()}
    return kinds | {name: _upload(content, Outcome.REFUSED) for name, content in refused.items()}


def file_name_kinds() -> dict[str, RequestKind]:
    """An image with malicious file names; it may be accepted or refused."""
    png = encoded(photograph(*_SIZE, 0))
    names = {
        "up": b"../../../../etc/cron.d/x.png",
        "absolute": b"/etc/passwd",
        "NUL": b"a\0b.png",
        "NUL, escaped": b"a%00b.png",
        "long": b"a" * 5000 + b".png",
        "newline": b"a%0d%0aSet-Cookie: x=1.png",
        "dots": b"..",
        "empty": b"",
        "backslashes": b"..\\..\\x.png",
        "not UTF-8": b"\xff\xfe.png",
        "svg": b"x.svg",
    }
    return {f"file name: {name}": _upload(png, None, file_name=file_name) for name, file_name in names.items()}


def _upload(
    content: bytes, expected: Outcome | None, size: tuple[int, int] = _ENLARGED, file_name: bytes = b"photo.png"
) -> RequestKind:
    return RequestKind(lambda target, visitor: target.enlarge(visitor, content, size, file_name), expected)
