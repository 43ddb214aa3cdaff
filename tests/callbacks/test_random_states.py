import io
import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from sr.callbacks.random_states import RandomStates

TRAINER: Any = SimpleNamespace(world_size=1, global_rank=0, is_global_zero=True)
MODULE: Any = SimpleNamespace(device=torch.device("cpu"))


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


def rank(number: int, world_size: int = 2) -> Any:
    return SimpleNamespace(world_size=world_size, global_rank=number, is_global_zero=number == 0)


def saved_by_two(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[list[float]]]:
    """A checkpoint of two processes with different states, and what each draws next."""
    states, drawn = [], []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        states.append(saved_states()["random"])
        drawn.append(draw())

    def gather(values: list[Any], value: Any) -> None:
        values[:] = states

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    checkpoint: dict[str, Any] = {}
    RandomStates().on_save_checkpoint(rank(0), MODULE, checkpoint)
    return checkpoint, drawn


@pytest.mark.parametrize("number", [0, 1])
def test_each_of_several_processes_gets_its_own_states_back(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, drawn = saved_by_two(monkeypatch)
    resumed = RandomStates()
    resumed.on_load_checkpoint(rank(number), MODULE, checkpoint)
    resumed.on_train_batch_start(rank(number), MODULE, {}, 0)
    assert draw() == drawn[number]


def test_with_another_number_of_processes_only_rank_0_gets_states(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, drawn = saved_by_two(monkeypatch)
    for trainer, expected in ((rank(0, 1), True), (rank(0, 3), True), (rank(1, 3), False)):
        resumed = RandomStates()
        resumed.on_load_checkpoint(trainer, MODULE, checkpoint)
        resumed.on_train_batch_start(trainer, MODULE, {}, 0)
        assert (draw() == drawn[0]) == expected


def test_the_state_of_its_own_gpu_is_restored_from_new_and_old_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[Any] = []
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: f"state of {device}")
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: restored.append((state, str(device))))
    module: Any = SimpleNamespace(device=torch.device("cuda", 1))
    checkpoint: dict[str, Any] = {}
    RandomStates().on_save_checkpoint(TRAINER, module, checkpoint)
    assert checkpoint["random"]["cuda"] == ["state of cuda:1"]
    for states in (["own"], ["other", "own"]):
        checkpoint["random"]["cuda"] = states
        resumed = RandomStates()
        resumed.on_load_checkpoint(TRAINER, module, checkpoint)
        resumed.on_train_batch_start(TRAINER, module, {}, 0)
    assert restored == [("own", "cuda:1")] * 2
