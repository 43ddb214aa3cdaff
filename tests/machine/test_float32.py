from typing import Any

import pytest
import torch

from sr.machine.float32 import float32_as_in
from sr.runs import fit
from tests.support.runs import Command, MakeFolder


def tf32() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("float32", False), ("32-true", False), ("64-true", False), ("bfloat16", True), ("bf16-mixed", True)],
)
def test_float32_is_float32_and_mixed_precision_may_use_tf32(precision: str, expected: bool) -> None:
    before = tf32()
    assert before[0]  # torch's default
    with float32_as_in(precision):
        assert tf32() == (expected, expected and before[1])
    assert tf32() == before


def test_the_setting_is_restored_after_an_error() -> None:
    before = tf32()
    with pytest.raises(KeyError), float32_as_in("float32"):
        raise KeyError
    assert tf32() == before


def test_the_setting_is_restored_when_the_last_of_several_threads_leaves() -> None:
    before = tf32()
    first, second = float32_as_in("float32"), float32_as_in("float32")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert tf32() == (False, False)
    second.__exit__(None, None, None)
    assert tf32() == before


@pytest.mark.parametrize(("precision", "expected"), [("32-true", False), ("bf16-mixed", True)])
def test_a_run_in_float32_trains_and_scores_in_float32(
    precision: str, expected: bool, command: Command, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def run(*args: Any) -> None:
        seen.append(tf32()[0])

    monkeypatch.setattr(fit, "_run", run)
    settings = [f"data.root={make_folder(count=6)}", "trainer.max_epochs=1", f"trainer.precision={precision}"]
    command("data=isr", *settings)
    assert seen == [expected]
