"""The demo as a Gradio app: its layout, and the server behind it."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sr.demo.guard import Guard
from sr.demo.page import BOARD_COLUMNS, KEPT_SECONDS, MAX_PIXELS, MAX_UPLOAD, Page
from sr.errors import UserError
from sr.machine.hardware import precision

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # nothing is sent anywhere

log = logging.getLogger(__name__)

_WAITING = 32  # requests; more are turned away


def build(page: Page) -> Any:
    """The page as Gradio blocks."""
    # Else all of Gradio's pages on a machine share a folder; read when Gradio is imported, and again for each request.
    os.environ["GRADIO_TEMP_DIR"] = str(page.folder)
    import gradio as gr

    def shown(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any) -> Any:
            try:
                return function(*values)
            except UserError as error:
                raise gr.Error(str(error), print_exception=False) from error
            except Exception as error:
                log.exception("a request failed")
                raise gr.Error("something went wrong; the log says what", print_exception=False) from error

        return call

    def enlarge(label: Any, source: Any, target: Any) -> tuple[tuple[str, str], str, str]:
        return page.enlarge(label, page.uploaded(source), page.uploaded(target))

    with gr.Blocks(title="sr", analytics_enabled=False, delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as blocks:
        gr.Markdown("# sr\nEnlarge a picture with a trained model, next to bicubic.")
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
                    type="filepath", image_mode=None, format="png", label="bicubic | model", elem_id="slider"
                )
                facts = gr.Markdown(elem_id="facts")
                file = gr.File(label="Result", elem_id="result")
                plot = gr.HTML(elem_id="curves")
        # Not preprocessed: Gradio would open files before it is known whose they are, and answer in its own words.
        button.click(
            shown(enlarge), [model, source, target], [slider, file, facts], concurrency_id="enlarge", preprocess=False
        )
        metrics.click(shown(page.curves), model, plot, preprocess=False)
        if page.boards:
            with gr.Tab("Leaderboard"):
                folder = gr.Dropdown(list(page.boards), label="Folder", elem_id="folder", value=None)
                table = gr.Dataframe(headers=list(BOARD_COLUMNS), interactive=False, elem_id="board")
                heat = gr.HTML(elem_id="heat")
                folder.change(shown(page.board), folder, [table, heat], preprocess=False)
    return blocks.queue(max_size=_WAITING, default_concurrency_limit=1)


def launch(page: Page, host: str, port: int | None, *, share: bool = False) -> tuple[Any, str]:
    """Open a page; its blocks and its address."""
    from starlette.middleware import Middleware

    blocks = build(page)
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=True,
        quiet=True,
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        show_error=False,  # but for gr.Error, whose words are ours
        footer_links=[],
        app_kwargs={"middleware": [Middleware(Guard, max_upload=MAX_UPLOAD, tidy=page.tidy)]},
    )
    return blocks, address


def serve(runs: Path, host: str, port: int, *, share: bool, device: str | None, max_pixels: int = MAX_PIXELS) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Raises:
        UserError: if Gradio is missing, there is no model, or the port is taken.
    """
    if not find_spec("gradio"):
        raise UserError("sr demo needs Gradio: pip install 'sr[demo]'")
    page = Page(runs, max_pixels, device)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    precision("auto")  # what it measures once on a machine is not measured while a visitor waits
    tempfile.tempdir = str(page.folder)  # where some versions of Gradio leave halves of uploads
    try:
        blocks, address = launch(page, host, port, share=share)
        public = f", for everybody {blocks.share_url or 'nowhere: no address could be had'}" if share else ""
        sys.stdout.write(f"{address}{public} (Ctrl-C ends)\n")
        sys.stdout.flush()
        blocks.block_thread()
    except OSError as error:
        raise UserError(f"--port {port}: cannot be used ({error}): choose another") from error
    finally:
        tempfile.tempdir = None
        page.close()
