from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from sr.callbacks.safety import DivergenceGuard
from sr.errors import DivergedError


def fake_trainer(step: int = 7, lr: float = 0.5) -> Any:
    return SimpleNamespace(global_step=step, optimizers=[SimpleNamespace(param_groups=[{"lr": lr}])])


def module_with_gradients() -> Any:
    module = nn.Linear(2, 1)
    assert module.bias is not None
    module.weight.grad, module.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    module.device = torch.device("cpu")  # type: ignore[assignment]
    return module


def test_a_finite_loss_goes_on() -> None:
    DivergenceGuard().on_train_batch_end(fake_trainer(), module_with_gradients(), {"loss": torch.tensor(1.0)}, {}, 0)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_with_step_rate_norm_and_advice(loss: float) -> None:
    with pytest.raises(DivergedError, match=r"step 7 .*rate 0\.5, gradient norm 5.*optimizer\.lr"):
        DivergenceGuard().on_train_batch_end(
            fake_trainer(), module_with_gradients(), {"loss": torch.tensor(loss)}, {}, 0
        )
