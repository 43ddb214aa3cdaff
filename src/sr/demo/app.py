"""The server of the demo."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sr.demo.guard import Guard
from sr.demo.layout import CSS, build
from sr.demo.page import MAX_PIXELS, Page
from sr.demo.uploads import MAX_UPLOAD
from sr.errors import UserError
from sr.machine.hardware import precision

_LAST_PORT = 65535


@contextmanager
def launch(page: Page, host: str, port: int | None, *, share: bool = False) -> Iterator[tuple[Any, str]]:
    """Serve a page while the context is open; yields its blocks and its address.

    Gradio takes some of its settings from the process alone: they are set here, and restored at the end.
    """
    from starlette.middleware import Middleware

    settings = {
        # Otherwise it contacts two hosts when it is imported.
        "GRADIO_ANALYTICS_ENABLED": os.environ.get("GRADIO_ANALYTICS_ENABLED", "False"),
        # Otherwise all pages on a machine share a folder. Read when Gradio is imported, and again for each request.
        "GRADIO_TEMP_DIR": str(page.uploads.path),
    }
    previous = {name: os.environ.get(name) for name in settings}
    previous_folder = tempfile.tempdir
    os.environ |= settings
    tempfile.tempdir = str(page.uploads.path)  # where some versions of Gradio leave parts of aborted uploads
    blocks = None
    try:
        blocks = build(page)
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port,
            share=share,
            prevent_thread_lock=True,
            quiet=True,
            max_file_size=MAX_UPLOAD,
            ssr_mode=False,
            show_error=False,  # faults are shown at their controls
            footer_links=[],
            css=CSS,
            app_kwargs={"middleware": [Middleware(Guard, max_upload=MAX_UPLOAD, tidy=page.uploads.tidy)]},
        )
        yield blocks, address
    finally:
        if blocks is not None:
            blocks.close()
        tempfile.tempdir = previous_folder
        for name, value in previous.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def serve(
    runs: Path,
    host: str,
    port: int,
    *,
    share: bool,
    device: str | None,
    max_pixels: int = MAX_PIXELS,
    models: Sequence[str] = (),
) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Raises:
        UserError: if Gradio is missing, there is no model, or the port is taken or none.
    """
    if not 0 <= port <= _LAST_PORT:
        raise UserError(f"--port {port}: must be 0 to {_LAST_PORT}")
    if not find_spec("gradio"):
        raise UserError("sr demo needs Gradio: pip install 'sr-compare[demo]'")
    page = Page(runs, max_pixels, device, models)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the same as Ctrl-C
    precision("auto")  # it measures once on each machine: not while a visitor waits
    try:
        with launch(page, host, port, share=share) as (blocks, address):
            public = f", for everybody {blocks.share_url or 'nowhere: no public address was given'}" if share else ""
            sys.stdout.write(f"{address}{public} (Ctrl-C ends)\n")
            sys.stdout.flush()
            blocks.block_thread()
    except OSError as error:
        raise UserError(f"--port {port}: cannot be used ({error}): choose another") from error
    finally:
        page.close()
