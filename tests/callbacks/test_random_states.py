import io
import random
from typing import Any

import numpy as np
import pytest
import torch

from sr.callbacks.random_states import RandomStates

TRAINER: Any = None
MODULE: Any = None


def draw() -> list[float]:
    """A number from each generator; the normal ones of Python and numpy buffer every second number."""
    return [random.gauss(), random.random(), float(np.random.normal()), float(torch.rand(()))]  # noqa: NPY002


def saved_states() -> dict[str, Any]:
    """A checkpoint with the current states, as loaded from a file."""
    checkpoint: dict[str, Any] = {}
    RandomStates().on_save_checkpoint(TRAINER, MODULE, checkpoint)
    file = io.BytesIO()
    torch.save(checkpoint, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize("drawn_before", [0, 1])
def test_a_resumed_run_draws_the_same_numbers_from_its_first_step_on(drawn_before: int) -> None:
    for _ in range(drawn_before):
        draw()
    checkpoint = saved_states()
    expected = [draw() for _ in range(3)]
    resumed = RandomStates()
    resumed.on_load_checkpoint(TRAINER, MODULE, checkpoint)
    draw()  # as the setup of a run may
    resumed.on_train_batch_start(TRAINER, MODULE, {}, 0)
    first = draw()
    resumed.on_train_batch_start(TRAINER, MODULE, {}, 1)  # does not restore again
    assert [first, draw(), draw()] == expected


def test_a_checkpoint_without_random_states_changes_nothing() -> None:
    checkpoint = saved_states()
    expected = draw()
    RandomStates().on_train_batch_start(TRAINER, MODULE, {}, 0)
    without_states = RandomStates()
    without_states.on_load_checkpoint(TRAINER, MODULE, {})
    restored = RandomStates()
    restored.on_load_checkpoint(TRAINER, MODULE, checkpoint)
    restored.on_train_batch_start(TRAINER, MODULE, {}, 0)
    without_states.on_train_batch_start(TRAINER, MODULE, {}, 0)
    assert draw() == expected
