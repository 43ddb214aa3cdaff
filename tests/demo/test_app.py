"""The wiring of the page, without a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sr.demo.app import serve
from sr.demo.layout import build
from sr.demo.page import Page
from sr.errors import UserError
from tests.support.run_folders import RunFolders


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """The shipped networks, and a folder of two runs."""
    make = RunFolders(tmp_path / "runs")
    for name in ("espcn_mse_adam", "vdsr_mse_adam"):
        make(name, [0.5, 0.6, 0.7, 0.8])
    page = Page(tmp_path / "runs", device="cpu")
    yield page
    page.close()


RESULTS = ["slider", "result", "facts", "left", "right"]
FAULTS = ["models_fault", "picture_fault", "target_fault", "button_fault"]


def functions(blocks: Any, inputs: list[str]) -> list[Any]:
    """The events with these inputs."""
    return [
        function for function in blocks.fns.values() if [component.elem_id for component in function.inputs] == inputs
    ]


def test_each_control_passes_its_inputs_to_its_outputs(page: Page) -> None:
    pytest.importorskip("gradio", reason="needs sr-compare[demo]")
    blocks = build(page)
    outputs = {
        names: [[component.elem_id for component in function.outputs] for function in functions(blocks, list(names))]
        for names in (("model", "picture", "target"), ("model",), ("folder",), ("left", "right"), ())
    }
    lists = ["model", "folder", "about_boards"]
    assert outputs == {
        ("model", "picture", "target"): [[*RESULTS, *FAULTS]],
        ("model",): [["curves", *FAULTS], ["enlarge", "curves", *RESULTS, *FAULTS]],
        ("folder",): [["board", "heat", "folder_fault"]],
        ("left", "right"): [["slider", *FAULTS]] * 2,
        (): [*[["picture", "target", *RESULTS, *FAULTS]] * 3, [*RESULTS, *FAULTS], *[lists] * 3],
    }
    assert sum(map(len, outputs.values())) == len(blocks.fns)
    choices = {
        block.elem_id: [value for _, value in block.choices]
        for block in blocks.blocks.values()
        if hasattr(block, "choices")
    }
    assert choices == {"model": list(page.models), "folder": list(page.boards), "left": [], "right": []}
    assert not any(function.preprocess for function in blocks.fns.values())  # nothing is opened before it is checked


def test_a_fault_is_shown_at_its_control_and_removes_the_earlier_result(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gradio", reason="needs sr-compare[demo]")
    (enlarge,) = functions(build(page), ["model", "picture", "target"])
    answer = dict(zip([*RESULTS, *FAULTS], enlarge.fn(["none"], None, None), strict=True))
    assert [answer[name]["visible"] for name in FAULTS] == [True, False, False, False]
    assert "There is no such model in the list" in answer["models_fault"]["value"]
    assert [answer[name]["value"] for name in ("slider", "result", "left", "right")] == [None] * 4
    answer = dict(zip([*RESULTS, *FAULTS], enlarge.fn([next(iter(page.models))], None, None), strict=True))
    assert [answer[name]["visible"] for name in FAULTS] == [False, True, False, False]

    def fail(*values: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(page, "enlarge", fail)
    answer = dict(zip([*RESULTS, *FAULTS], enlarge.fn(["none"], None, None), strict=True))
    assert "Something went wrong; see the log of the server." in answer["button_fault"]["value"]
    assert "secret" not in str(answer)


def test_without_several_runs_the_leaderboard_says_how_to_get_one(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs sr-compare[demo]")
    page = Page(tmp_path, device="cpu")
    texts = {block.elem_id: block.value for block in build(page).blocks.values() if hasattr(block, "value")}
    assert texts["about_boards"].startswith("**No leaderboard yet.**")
    page.close()


def test_changing_the_model_removes_the_result_and_names_what_it_does(page: Page) -> None:
    pytest.importorskip("gradio", reason="needs sr-compare[demo]")
    (change,) = (function for function in functions(build(page), ["model"]) if function.outputs[0].elem_id == "enlarge")
    label = next(iter(page.models))
    assert change.fn([label])[:2] == ["Enlarge", ""]
    page.models[label] = (page.models[label][0], 1)
    verb, _, slider, *_ = change.fn([label])
    assert (verb, slider["value"], slider["visible"]) == ("Sharpen", None, False)


def test_without_gradio_the_way_to_install_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr.demo.app.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sr demo needs Gradio: pip install 'sr-compare\[demo\]'"):
        serve(tmp_path, "127.0.0.1", 0, share=False, device=None)


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs sr-compare[demo]")
    with pytest.raises(UserError, match="--port 99999: must be 0 to 65535"):
        serve(tmp_path, "127.0.0.1", 99_999, share=False, device="cpu")
