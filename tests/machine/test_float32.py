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
