"""The demo as a Gradio app: its layout, and the server behind it."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sr.demo.guard import Guard
from sr.demo.page import MAX_PIXELS, Page
from sr.demo.uploads import KEPT_SECONDS, MAX_UPLOAD
from sr.errors import UserError
from sr.machine.hardware import precision

log = logging.getLogger(__name__)

_MAX_WAITING = 32  # requests; further ones are turned away


def build(page: Page) -> Any:
    """Lay out the page as Gradio blocks; `launch` sets the environment that Gradio needs."""
    import gradio as gr

    def answered(function: Callable[..., Any]) -> Callable[..., Any]:
        """Show the message of a `UserError`, and of any other error only that there was one."""

        def call(*values: Any) -> Any:
            try:
                return function(*values)
            except UserError as error:
                raise gr.Error(str(error), print_exception=False) from error
            except Exception as error:
                log.exception("a request failed")
                raise gr.Error("something went wrong; see the log of the server", print_exception=False) from error

        return call

    def enlarge(label: Any, source: Any, target: Any) -> tuple[tuple[str, str], str, str]:
        return page.enlarge(label, page.uploads.uploaded(source), page.uploads.uploaded(target))

    with gr.Blocks(title="sr", analytics_enabled=False, delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as blocks:
        gr.Markdown(
            "# sr\nEnlarge a picture with a trained model and compare the result with bicubic interpolation. "
            "Models of scale 1 sharpen a picture and keep its size."
        )
        with gr.Tab("Enlarge"), gr.Row():
            with gr.Column(scale=1):
                model = gr.Dropdown(list(page.models), label="Model", elem_id="model")
                source = gr.Image(
                    type="filepath", image_mode=None, sources=["upload"], label="Picture", elem_id="picture"
                )
                target = gr.Image(
                    type="filepath", image_mode=None, sources=["upload"], label="Target (optional)", elem_id="target"
                )
                button = gr.Button("Enlarge", variant="primary", elem_id="enlarge")
                metrics = gr.Button("Show training metrics", elem_id="metrics")
            with gr.Column(scale=2):
                slider = gr.ImageSlider(
                    type="filepath", image_mode=None, format="png", label="bicubic or input | model", elem_id="slider"
                )
                facts = gr.Markdown(elem_id="facts")
                file = gr.File(label="Result", elem_id="result")
                plot = gr.HTML(elem_id="curves")
        # Not preprocessed: Gradio would open files before `uploaded` has checked that they are uploads.
        button.click(
            answered(enlarge),
            [model, source, target],
            [slider, file, facts],
            concurrency_id="enlarge",
            preprocess=False,
        )
        metrics.click(answered(page.curves), model, plot, preprocess=False)
        if page.boards:
            with gr.Tab("Leaderboard"):
                folder = gr.Dropdown(list(page.boards), label="Folder", elem_id="folder", value=None)
                table = gr.Dataframe(interactive=False, elem_id="board")
                heat = gr.HTML(elem_id="heat")
                folder.change(answered(page.board), folder, [table, heat], preprocess=False)
    return blocks.queue(max_size=_MAX_WAITING, default_concurrency_limit=1)


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
            show_error=False,  # except for gr.Error, whose messages are ours
            footer_links=[],
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
        UserError: if Gradio is missing, there is no model, or the port is taken.
    """
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
