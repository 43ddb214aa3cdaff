from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from sr.callbacks.checkpoints import RunCheckpoints
from sr.callbacks.divergence import DivergenceGuard
from sr.errors import DivergedError, UserError

OPTIMIZER: Any = None  # neither callback looks at it


def fake_trainer(step: int = 7, lr: float = 0.5, scaler: object = None) -> Any:
    optimizer = SimpleNamespace(param_groups=[{"lr": lr}])
    plugin = SimpleNamespace(scaler=scaler)
    return SimpleNamespace(global_step=step, optimizers=[optimizer], precision_plugin=plugin)


def module_with_gradients(value: float = 3.0) -> Any:
    module = nn.Linear(2, 1)
    assert module.bias is not None
    module.weight.grad, module.bias.grad = torch.tensor([[value, 0.0]]), torch.tensor([4.0])
    module.device = torch.device("cpu")  # type: ignore[assignment]
    return module


def test_a_finite_loss_and_gradient_go_on() -> None:
    guard = DivergenceGuard()
    guard.on_before_optimizer_step(fake_trainer(), module_with_gradients(), OPTIMIZER)
    guard.on_train_batch_end(fake_trainer(), module_with_gradients(), {"loss": torch.tensor(1.0)}, {}, 0)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_with_step_rate_norm_and_advice(loss: float) -> None:
    with pytest.raises(DivergedError, match=r"the loss is .* step 7 .*rate 0\.5, gradient norm 5.*optimizer\.lr"):
        DivergenceGuard().on_train_batch_end(
            fake_trainer(), module_with_gradients(), {"loss": torch.tensor(loss)}, {}, 0
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_ends_before_its_step_is_taken(value: float) -> None:
    module = module_with_gradients(value)
    with pytest.raises(DivergedError, match=r"the gradient is not finite at step 8 .*gradient norm (nan|inf)"):
        DivergenceGuard().on_before_optimizer_step(fake_trainer(), module, OPTIMIZER)
    DivergenceGuard().on_before_optimizer_step(fake_trainer(scaler=object()), module, OPTIMIZER)  # float16 skips it


def test_a_negative_interval_between_checkpoints_is_refused() -> None:
    with pytest.raises(UserError, match=r"minutes must be 0 or more"):
        RunCheckpoints("checkpoints", minutes=-1)
