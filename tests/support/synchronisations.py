"""Find where training steps would wait for a GPU, without one: a CPU plays its part."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sr.io.logs import LateLog
from sr.lit_module import LitSR

_READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
_MAKES = (torch.ops.aten.lift_fresh.default,)  # as `torch.tensor` does

# What reads tensors that lie on the CPU in any case: counters of optimizers, seeds of loaders, and what is logged, once
# it has arrived there.
_OURS = ("/sr/", "/tests/", "/lightning/")
_OF_THE_CPU = ("torch/optim/", "torch/utils/data/", "sr/io/logs.py")
_PINNED = "sr/data/"  # whose tensors are made on the CPU, and copied from pinned memory


class Reads(TorchDispatchMode):
    """Records the lines of `sr`, of its tests and of Lightning in which a tensor is read or made of numbers.

    Reading waits for the device, and numbers in a new tensor are copied to it, which waits as well.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lines: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _READS + _MAKES:
            stack = reversed(traceback.extract_stack()[:-1])
            frame = next(frame for frame in stack if any(place in frame.filename for place in (*_OURS, *_OF_THE_CPU)))
            on_the_cpu = _OF_THE_CPU if func in _READS else (*_OF_THE_CPU, _PINNED)
            if not any(place in frame.filename for place in on_the_cpu):
                self.lines.append(f"{frame.filename}:{frame.lineno}: {frame.line}")
        return func(*args, **(kwargs or {}))


class StepsOnly(Callback):
    """Turns the recording on while the steps of an epoch are taken, and the CPU into what looks like a GPU."""

    def __init__(self, reads: Reads) -> None:
        self.reads, self.is_on = reads, False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.reads.__enter__()  # type: ignore[no-untyped-call]
        self.is_on = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.is_on = False
        self.reads.__exit__(None, None, None)  # type: ignore[no-untyped-call]


class _OnGpu(Tensor):
    is_cuda = True


class _Event:
    """A CUDA event behind work that ends only when it is waited for."""

    def __init__(self, enable_timing: bool = False) -> None:
        self.is_past = False

    def record(self) -> None: ...

    def query(self) -> bool:
        return self.is_past

    def synchronize(self) -> None:
        self.is_past = True

    def elapsed_time(self, later: "_Event") -> float:
        return 0.0


@contextmanager
def steps_on_a_pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[StepsOnly]:
    """A callback, to be the first of a trainer, that records what would wait for a GPU."""
    steps = StepsOnly(Reads())
    device = property(lambda module: torch.device("cuda" if steps.is_on else "cpu"))
    add = LateLog.add

    def add_from_gpu(log: LateLog, trainer: Trainer, name: str, value: Tensor, others: Any, step: int) -> None:
        add(log, trainer, name, value.detach().as_subclass(_OnGpu), others, step)

    with monkeypatch.context() as patch:
        patch.setattr(LitSR, "device", device)
        patch.setattr(LateLog, "add", add_from_gpu)
        patch.setattr(torch.cuda, "Event", _Event)
        patch.setattr(torch.cuda, "synchronize", lambda device=None: None)
        yield steps
