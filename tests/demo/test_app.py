"""The wiring of the page, without a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sr.demo.app import build, serve
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


def test_each_control_passes_its_inputs_to_its_outputs(page: Page) -> None:
    pytest.importorskip("gradio", reason="needs sr-compare[demo]")
    blocks = build(page)
    wiring = {
        tuple(component.elem_id for component in function.inputs): [component.elem_id for component in function.outputs]
        for function in blocks.fns.values()
    }
    assert wiring == {
        ("model", "picture", "target"): ["slider", "result", "facts"],
        ("model",): ["curves"],
        ("folder",): ["board", "heat"],
    }
    choices = {
        block.elem_id: [value for _, value in block.choices]
        for block in blocks.blocks.values()
        if hasattr(block, "choices")
    }
    assert choices == {"model": list(page.models), "folder": list(page.boards)}
    assert not any(function.preprocess for function in blocks.fns.values())  # nothing is opened before it is checked


def test_errors_are_shown_in_one_line_and_others_only_named(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    gradio = pytest.importorskip("gradio", reason="needs sr-compare[demo]")
    blocks = build(page)
    (curves,) = (
        function.fn for function in blocks.fns.values() if [block.elem_id for block in function.outputs] == ["curves"]
    )
    with pytest.raises(gradio.Error) as error_info:
        curves("none")
    assert error_info.value.message == "there is no such model in the list"

    def fail(label: str) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(page, "curves", fail)
    (curves,) = (
        function.fn
        for function in build(page).fns.values()
        if [block.elem_id for block in function.outputs] == ["curves"]
    )
    with pytest.raises(gradio.Error) as error_info:
        curves("none")
    assert error_info.value.message == "something went wrong; see the log of the server"


def test_without_gradio_the_way_to_install_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr.demo.app.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sr demo needs Gradio: pip install 'sr-compare\[demo\]'"):
        serve(tmp_path, "127.0.0.1", 0, share=False, device=None)
