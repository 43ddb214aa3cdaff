from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from sr.callbacks.divergence import DivergenceGuard
from sr.errors import DivergedError

OPTIMIZER: Any = None  # unused by the callback


def fake_trainer(step: int = 7, lr: float = 0.5, scaler: object = None, world_size: int = 1) -> Any:
    optimizer = SimpleNamespace(param_groups=[{"lr": lr}])
    plugin = SimpleNamespace(scaler=scaler)
    return SimpleNamespace(global_step=step, optimizers=[optimizer], precision_plugin=plugin, world_size=world_size)


def module_with_gradients(value: float = 3.0) -> Any:
    module = nn.Linear(2, 1)
    assert module.bias is not None
    module.weight.grad, module.bias.grad = torch.tensor([[value, 0.0]]), torch.tensor([4.0])
    module.device = torch.device("cpu")  # type: ignore[assignment]
    return module


def test_a_finite_loss_and_gradient_do_not_stop_training() -> None:
    guard = DivergenceGuard()
    guard.on_before_optimizer_step(fake_trainer(), module_with_gradients(), OPTIMIZER)
    guard.on_train_batch_end(fake_trainer(), module_with_gradients(), {"loss": torch.tensor(1.0)}, {}, 0)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_training_with_step_rate_norm_and_advice(loss: float) -> None:
    with pytest.raises(DivergedError, match=r"the loss is .* step 7 .*rate 0\.5, gradient norm 5.*optimizer\.lr"):
        DivergenceGuard().on_train_batch_end(
            fake_trainer(), module_with_gradients(), {"loss": torch.tensor(loss)}, {}, 0
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_stops_training_before_the_optimizer_step(value: float) -> None:
    module = module_with_gradients(value)
    with pytest.raises(DivergedError, match=r"the gradient is not finite at step 8 .*gradient norm (nan|inf)"):
        DivergenceGuard().on_before_optimizer_step(fake_trainer(), module, OPTIMIZER)
    DivergenceGuard().on_before_optimizer_step(fake_trainer(scaler=object()), module, OPTIMIZER)  # float16 skips it


@pytest.mark.parametrize(("local_loss", "other_diverged"), [(float("nan"), False), (1.0, True)])
def test_several_processes_stop_together_at_the_next_step_at_which_they_agree(
    local_loss: float, other_diverged: bool
) -> None:
    guard = DivergenceGuard()
    decisions: list[bool] = []

    def reduce_boolean_decision(decision: bool, all: bool) -> bool:
        assert not all
        decisions.append(decision)
        return decision or other_diverged

    for step in range(1, 10):
        trainer = fake_trainer(step, world_size=2)
        trainer.strategy = SimpleNamespace(reduce_boolean_decision=reduce_boolean_decision)
        guard.on_train_batch_end(trainer, module_with_gradients(), {"loss": torch.tensor(local_loss)}, {}, 0)
    assert decisions == []
    trainer.global_step = 10
    message = "the loss is not finite at step 1 " if not other_diverged else "the loss of another process is not finite"
    with pytest.raises(DivergedError, match=message):
        guard.on_train_batch_end(trainer, module_with_gradients(), {"loss": torch.tensor(local_loss)}, {}, 0)
    assert decisions == [not other_diverged]


def test_several_processes_agree_at_the_end_of_an_epoch_as_well() -> None:
    guard = DivergenceGuard()
    trainer = fake_trainer(3, world_size=2)
    trainer.strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    guard.on_train_epoch_end(trainer, module_with_gradients())
    guard.on_before_optimizer_step(trainer, module_with_gradients(float("inf")), OPTIMIZER)
    with pytest.raises(DivergedError, match="the gradient is not finite at step 4"):
        guard.on_train_epoch_end(trainer, module_with_gradients())
