import math
from itertools import pairwise

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from sr import schedules
from sr.errors import UserError


def rates(schedule: LambdaLR, steps: int) -> list[float]:
    values = []
    for _ in range(steps):
        values.append(float(schedule.get_last_lr()[0]))
        schedule.optimizer.step()
        schedule.step()
    return values


def sgd(lr: float = 2.0) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


def test_constant_keeps_the_rate() -> None:
    assert rates(schedules.constant(sgd(), total_steps=5), 5) == [2.0] * 5


def test_cosine_rises_to_the_rate_and_ends_at_its_final_share() -> None:
    values = rates(schedules.cosine(sgd(), total_steps=100, warmup=0.1, final=0.01), 100)
    assert values[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert values[10] == pytest.approx(2.0)
    assert values[99] == pytest.approx(0.02)
    assert all(later < earlier for earlier, later in pairwise(values[10:]))
    halfway = 10 + 89 / 2
    assert values[54] == pytest.approx(2 * (0.01 + 0.99 * (1 + math.cos(math.pi * (54 - 10) / 89)) / 2))
    assert values[int(halfway)] == pytest.approx(2 * 0.505, rel=0.02)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_cosine_works_for_very_short_runs(total: int) -> None:
    assert all(0 < value <= 2 for value in rates(schedules.cosine(sgd(), total_steps=total), total))


def test_step_divides_the_rate_after_each_quarter_of_the_run() -> None:
    values = rates(schedules.step(sgd(), total_steps=80), 80)
    assert [values[at] for at in (0, 19, 20, 40, 60, 79)] == pytest.approx([2, 2, 0.2, 0.02, 0.002, 0.002])


def test_shares_outside_0_to_1_are_refused() -> None:
    with pytest.raises(UserError, match="warmup must be from 0 to 1"):
        schedules.cosine(sgd(), 10, warmup=5)
    with pytest.raises(UserError, match="final must be from 0 to 1"):
        schedules.cosine(sgd(), 10, final=-1)
    with pytest.raises(UserError, match="every must be a share"):
        schedules.step(sgd(), 10, every=0)


def test_by_default_cosine_warms_up_for_a_twentieth_of_the_run_and_ends_at_a_hundredth() -> None:
    values = rates(schedules.cosine(sgd(), total_steps=100), 100)
    assert values[:6] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0, 2.0])
    assert values[99] == pytest.approx(0.02)


def test_step_with_the_interval_of_the_whole_run_keeps_the_rate() -> None:
    assert rates(schedules.step(sgd(), total_steps=4, every=1), 4) == [2.0] * 4
