"""The demo as Gradio blocks: its controls, and what each of them calls."""

import html
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sr.demo.examples import example_names
from sr.demo.faults import FaultError, Place, shown_at
from sr.demo.page import MAX_MODELS, Enlarged, Page
from sr.demo.uploads import KEPT_SECONDS

T = TypeVar("T")

log = logging.getLogger(__name__)

_MAX_WAITING = 32  # requests; further ones are turned away
_NO_BOARD = (
    "**No leaderboard yet.** A folder has one as soon as it holds several runs. Train two models, such as "
    "`sr train -m model=espcn,vdsr name=mine`, then press *Refresh the list*."
)
_NOTHING = "<p>The result appears here.</p>"
_DROP = "Drop an image file here to upload"  # the name that Gradio gives the control
_CHOOSE_BOARD = "Choose a folder of runs: its models are ranked by their scores on the validation images."

# On a phone the result lies below the button: show it once it is there. The inputs pass through.
_SHOW_RESULT = """(...inputs) => {
    let tries = 600;
    const look = () => {
        if (document.querySelector("#slider img, .fault")) {
            const output = document.querySelector(".fault") || document.querySelector("#output");
            output.scrollIntoView({block: "nearest"});
        } else if (tries--) setTimeout(look, 100);
    };
    if (window.innerWidth < 768) setTimeout(look, 100);
    return inputs;
}"""

# Gradio's own colours have too little contrast.
CSS = """
#enlarge { background: #9a3412; color: #fff }
.or, button[role=tab].selected, .download-link { color: inherit !important }
.download-link { text-decoration: underline }
.fault { color: #b91c1c; font-weight: 600; margin: 0 }
.dark .fault { color: #fca5a5 }
.scrolls { overflow-x: auto }
.scrolls table { border-collapse: collapse; width: 100% }
.scrolls :is(th, td) { padding: 0.25rem 0.5rem; text-align: right; white-space: nowrap }
.scrolls table th[scope=row] { text-align: left !important; white-space: normal; overflow-wrap: anywhere }
.scrolls table th[scope=row] { min-width: 6rem }
#curves img, #heat img { max-width: 100%; background: #fff }
"""


def build(page: Page) -> Any:
    """Lay out the page; `sr.demo.app.launch` sets the environment that Gradio needs."""
    import gradio as gr

    with gr.Blocks(title="sr", analytics_enabled=False, delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as blocks:
        gr.Markdown("# sr\nEnlarge a picture with trained models, and compare them with bicubic interpolation.")
        with gr.Tab("Enlarge"):
            model, refresh_models = _enlarging(page)
        with gr.Tab("Leaderboard"):
            folder, about, refresh_folders = _ranking(page)

        def refresh() -> tuple[Any, Any, Any]:
            page.refresh()
            return gr.update(choices=page.model_choices), *_board_list(page)

        for event in (blocks.load, refresh_models.click, refresh_folders.click):
            event(refresh, None, [model, folder, about], queue=False, show_progress="hidden", preprocess=False)
    return blocks.queue(max_size=_MAX_WAITING, default_concurrency_limit=1)


class _Notes:
    """The faults below the controls; each is hidden while there is none."""

    def __init__(self) -> None:
        self._notes: dict[Place, Any] = {}

    def add(self, place: Place) -> None:
        """Lay out a note."""
        import gradio as gr

        self._notes[place] = gr.HTML(visible=False, elem_id=f"{place}_fault")

    @property
    def components(self) -> list[Any]:
        return list(self._notes.values())

    def updates(self, fault: FaultError | None) -> list[Any]:
        """What shows a fault at its place, and hides the others."""
        import gradio as gr

        shown = fault.place if fault and fault.place in self._notes else next(reversed(self._notes))
        text = f'<p class="fault" role="alert">{html.escape(str(fault))}</p>'
        return [
            gr.update(value=text, visible=True) if fault and place == shown else gr.update(value="", visible=False)
            for place in self._notes
        ]


@dataclass(frozen=True)
class _Controls:
    """What is connected with each other on the first tab; ``results`` are slider, file, facts, left and right."""

    model: Any
    source: Any
    target: Any
    examples: dict[str, Any]
    button: Any
    results: list[Any]
    curves: Any
    metrics: Any
    refresh: Any
    notes: _Notes


def _enlarging(page: Page) -> tuple[Any, Any]:
    """The tab that enlarges a picture; returns the list of models, and the button that refreshes it."""
    import gradio as gr

    notes, choices = _Notes(), page.model_choices
    chosen = [choices[0][1]]
    upload: dict[str, Any] = {"type": "filepath", "image_mode": None, "sources": ["upload"], "placeholder": _DROP}
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            label = f"Models (up to {MAX_MODELS} of one scale)"
            model = gr.Dropdown(
                choices, value=chosen, multiselect=True, max_choices=MAX_MODELS, label=label, elem_id="model"
            )
            notes.add(Place.MODELS)
            source = gr.Image(**upload, label="Picture", elem_id="picture", height=220)
            notes.add(Place.PICTURE)
            with gr.Row():
                names = example_names()
                examples = {name: gr.Button(name, size="sm", min_width=80, elem_id=_example_id(name)) for name in names}
            with gr.Accordion("Scores against an original (optional)", open=False):
                target = gr.Image(**upload, label="Original, as large as the result", elem_id="target", height=200)
            notes.add(Place.TARGET)
            button = gr.Button(_verb(page, chosen), variant="primary", elem_id="enlarge")
            notes.add(Place.BUTTON)
        with gr.Column(scale=2, min_width=300, elem_id="output"):
            results = _results()
            with gr.Row():
                metrics = gr.Button("Show training curves", size="sm", elem_id="metrics")
                refresh = gr.Button("Refresh the list of models", size="sm", elem_id="refresh_models")
            curves = gr.HTML(elem_id="curves")
    _connect(page, _Controls(model, source, target, examples, button, results, curves, metrics, refresh, notes))
    return model, refresh


def _results() -> list[Any]:
    """Lay out what shows results; empty, as it is before the first one."""
    import gradio as gr

    slider = gr.ImageSlider(
        type="filepath",
        image_mode=None,
        format="png",
        label="Drag to compare: left | right",
        elem_id="slider",
        visible=False,
    )
    with gr.Row():
        left = gr.Dropdown([], label="Left", elem_id="left", visible=False, min_width=140)
        right = gr.Dropdown([], label="Right", elem_id="right", visible=False, min_width=140)
    facts = gr.HTML(_NOTHING, elem_id="facts")
    file = gr.File(label="Results", file_count="multiple", elem_id="result", visible=False)
    return [slider, file, facts, left, right]


def _filled(enlarged: Enlarged) -> list[Any]:
    """What shows a result: the baseline on the left, the first model on the right."""
    import gradio as gr

    images, first = enlarged.images, enlarged.images[enlarged.models[0]]
    baseline = next(iter(images.values()))
    choices = list(images.items())
    files = gr.update(value=[images[name] for name in enlarged.models], visible=True)
    sides = [gr.update(choices=choices, value=path, visible=True) for path in (baseline, first)]
    return [gr.update(value=(baseline, first), visible=True), files, enlarged.facts, *sides]


def _emptied() -> list[Any]:
    """What removes a result."""
    import gradio as gr

    hidden = gr.update(value=None, visible=False)
    return [hidden, hidden, _NOTHING, *[gr.update(choices=[], value=None, visible=False)] * 2]


def _connect(page: Page, on: _Controls) -> None:
    """Connect the controls of the first tab. Whatever changes an input removes the results of the one before."""
    import gradio as gr

    notes, shown = on.notes, [*on.results, *on.notes.components]
    left, right = on.results[3:]
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "preprocess": False}

    def enlarge(labels: Any, picture: Any, original: Any) -> list[Any]:
        enlarged, fault = _attempt(lambda: page.enlarge(labels, *_uploads(page, picture, original)))
        return [*(_filled(enlarged) if enlarged else _emptied()), *notes.updates(fault)]

    def pair(*sides: Any) -> list[Any]:
        images, fault = _attempt(lambda: page.pair(*sides))
        return [images, *notes.updates(fault)]

    def show_curves(labels: Any) -> list[Any]:
        text, fault = _attempt(lambda: page.curves(labels))
        return [text or "", *notes.updates(fault)]

    def example(name: str) -> list[Any]:
        path, fault = _attempt(lambda: page.example(name))
        return [path, None, *_emptied(), *notes.updates(fault)]

    def change_model(labels: Any) -> list[Any]:
        return [_verb(page, labels), "", *_emptied(), *notes.updates(None)]

    # Not preprocessed: Gradio would open files before `uploaded` has checked that they are uploads.
    inputs = [on.model, on.source, on.target]
    on.button.click(enlarge, inputs, shown, concurrency_id="enlarge", preprocess=False, js=_SHOW_RESULT)
    for side in (left, right):
        side.input(pair, [left, right], [on.results[0], *notes.components], **quick)
    on.metrics.click(show_curves, on.model, [on.curves, *notes.components], preprocess=False)
    for name, button in on.examples.items():
        button.click(partial(example, name), None, [on.source, on.target, *shown], **quick)
    on.model.change(change_model, on.model, [on.button, on.curves, *shown], **quick)
    gr.on([on.source.change, on.target.change], lambda: [*_emptied(), *notes.updates(None)], None, shown, **quick)


def _ranking(page: Page) -> tuple[Any, Any, Any]:
    """The tab of leaderboards; returns the list of folders, the text beside it, and the button that refreshes it."""
    import gradio as gr

    notes = _Notes()
    about = gr.Markdown(_CHOOSE_BOARD if page.boards else _NO_BOARD, elem_id="about_boards")
    with gr.Row():
        folder = gr.Dropdown(
            list(page.boards), label="Folder", elem_id="folder", value=None, visible=bool(page.boards), scale=3
        )
        refresh = gr.Button("Refresh the list", size="sm", elem_id="refresh_folders", min_width=140)
    notes.add(Place.FOLDER)
    table = gr.Dataframe(interactive=False, elem_id="board", visible=False)
    heat = gr.HTML(elem_id="heat")

    def rank(label: Any) -> list[Any]:
        ranking, fault = _attempt(lambda: page.board(label))
        rows, plots = ranking or (None, "")
        return [gr.update(value=rows, visible=bool(rows)), plots, *notes.updates(fault)]

    folder.input(rank, folder, [table, heat, *notes.components], preprocess=False)
    return folder, about, refresh


def _board_list(page: Page) -> tuple[Any, str]:
    import gradio as gr

    has_any = bool(page.boards)
    return gr.update(choices=list(page.boards), visible=has_any), _CHOOSE_BOARD if has_any else _NO_BOARD


def _attempt(answer: Callable[[], T]) -> tuple[T | None, FaultError | None]:
    """An answer, or why there is none; of faults of our own the visitor learns only that there was one."""
    try:
        return answer(), None
    except FaultError as fault:
        return None, fault
    except Exception:
        log.exception("a request failed")
        return None, FaultError(Place.BUTTON, "something went wrong; see the log of the server")


def _uploads(page: Page, picture: Any, original: Any) -> tuple[str | None, str | None]:
    """The paths of both uploads."""
    with shown_at(Place.PICTURE):
        path = page.uploads.uploaded(picture)
    with shown_at(Place.TARGET):
        return path, page.uploads.uploaded(original)


def _verb(page: Page, labels: Any) -> str:
    return "Sharpen" if page.sharpens(labels) else "Enlarge"


def _example_id(name: str) -> str:
    return f"example_{name.lower()}"
