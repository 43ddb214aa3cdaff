from types import SimpleNamespace
from typing import Any

import pytest

from sr.callbacks.agreement import any_process, as_rank_zero, is_due


@pytest.mark.parametrize(("world_size", "expected"), [(1, list(range(1, 31))), (2, [10, 20, 30])])
def test_several_processes_agree_every_tenth_step_and_a_single_process_every_step(
    world_size: int, expected: list[int]
) -> None:
    trainers: list[Any] = [SimpleNamespace(world_size=world_size, global_step=step) for step in range(1, 31)]
    assert [trainer.global_step for trainer in trainers if is_due(trainer)] == expected


@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("local", [True, False])
def test_a_condition_holds_if_it_holds_in_any_process(local: bool, remote: bool) -> None:
    def reduce_boolean_decision(decision: bool, all: bool = True) -> bool:
        return decision and remote if all else decision or remote

    strategy = SimpleNamespace(reduce_boolean_decision=reduce_boolean_decision)
    trainer: Any = SimpleNamespace(world_size=2, strategy=strategy)
    assert any_process(trainer, local) == (local or remote)


@pytest.mark.parametrize("condition", [True, False])
def test_a_single_process_asks_no_other(condition: bool) -> None:
    trainer: Any = SimpleNamespace(world_size=1)  # without a strategy
    assert any_process(trainer, condition) == condition


@pytest.mark.parametrize("decision_of_rank_zero", [True, False])
def test_every_process_follows_rank_0(decision_of_rank_zero: bool) -> None:
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(broadcast=lambda decision: decision_of_rank_zero))
    assert as_rank_zero(trainer, not decision_of_rank_zero) == decision_of_rank_zero
