from operator import attrgetter
from typing import Any

import pytest
import torch

from sr.machine.float32 import full_float32
from sr.runs import fit
from tests.support.runs import Command, MakeFolder


def tf32() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def test_float32_is_not_tf32() -> None:
    before = tf32()
    assert before[0]  # torch's default
    with full_float32():
        assert tf32() == (False, False)
    assert tf32() == before


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_a_setting_of_the_process_is_read_inside_and_restored(precision: str) -> None:
    torch.set_float32_matmul_precision(precision)
    before = tf32()
    try:
        with full_float32():
            assert torch.get_float32_matmul_precision() == "highest"  # as Lightning reads it when a run begins
            assert tf32() == (False, False)
        assert torch.get_float32_matmul_precision() == precision
        assert tf32() == before
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("kind", ["cuda.matmul", "cudnn.conv"])
def test_a_setting_by_the_newer_options_of_torch_is_restored(kind: str) -> None:
    options: Any = attrgetter(kind)(torch.backends)
    before = options.fp32_precision
    try:
        options.fp32_precision = "ieee" if kind == "cudnn.conv" else "tf32"
        given = options.fp32_precision
        with full_float32():
            assert torch.get_float32_matmul_precision() == "highest"
            assert options.fp32_precision in ("ieee", "none")
        assert options.fp32_precision == given
    finally:
        torch.set_float32_matmul_precision("highest")  # both ways, which then agree again
        options.fp32_precision = before
        torch.backends.cudnn.allow_tf32 = True


def test_the_setting_is_restored_after_an_error() -> None:
    before = tf32()
    with pytest.raises(KeyError), full_float32():
        raise KeyError
    assert tf32() == before


def test_the_setting_is_restored_when_the_last_of_several_threads_leaves() -> None:
    before = tf32()
    first, second = full_float32(), full_float32()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert tf32() == (False, False)
    second.__exit__(None, None, None)
    assert tf32() == before


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_what_a_run_computes_in_float32_is_float32(
    precision: str, command: Command, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def run(*args: Any) -> None:
        seen.append(tf32()[0])

    monkeypatch.setattr(fit, "_run", run)
    settings = [f"data.root={make_folder(count=6)}", "trainer.max_epochs=1", f"trainer.precision={precision}"]
    command("data=isr", *settings)
    assert seen == [False]
