"""When a signal stops a run, and what is saved."""

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from sr.callbacks.checkpoints import RunCheckpoints
from tests.support.trainers import FakeTrainer, take_step

MODULE: Any = None


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SIGTERMException)])
def test_the_first_signal_is_delayed_and_the_second_acts_at_once(number: int, error: type[BaseException]) -> None:
    checkpoints = RunCheckpoints("checkpoints")
    checkpoints._delay(signal.SIGTERM, None)
    with pytest.raises(error):
        checkpoints._delay(number, None)


def test_signal_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    checkpoints = RunCheckpoints("checkpoints")
    checkpoints.on_fit_start(MODULE, MODULE)
    assert signal.getsignal(signal.SIGINT) == checkpoints._delay
    checkpoints.release()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.fixture
def checkpoints() -> Iterator[RunCheckpoints]:
    """The checkpoint callback of a run in training."""
    checkpoints = RunCheckpoints("checkpoints", minutes=2)
    checkpoints.on_fit_start(MODULE, MODULE)
    yield checkpoints
    checkpoints.release()


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SIGTERMException)])
def test_a_signal_stops_the_run_after_the_step_with_a_checkpoint(
    checkpoints: RunCheckpoints, number: int, error: type[BaseException]
) -> None:
    run: Any = FakeTrainer()
    signal.raise_signal(number)
    with pytest.raises(error) as raised:
        take_step(checkpoints, run)
    assert run.saved == []
    checkpoints.on_exception(run, MODULE, raised.value)
    assert run.saved == ["last.ckpt"]


def test_an_error_saves_no_checkpoint(checkpoints: RunCheckpoints) -> None:
    run: Any = FakeTrainer()
    take_step(checkpoints, run)
    checkpoints.on_exception(run, MODULE, RuntimeError())
    assert run.saved == []


def test_a_signal_in_the_last_step_of_an_epoch_stops_the_run_once_the_epoch_is_saved(
    checkpoints: RunCheckpoints,
) -> None:
    run: Any = FakeTrainer()
    signal.raise_signal(signal.SIGTERM)
    take_step(checkpoints, run, is_last=True)
    run.callback_metrics = {"val/psnr": torch.tensor(30.0)}
    with pytest.raises(SIGTERMException):
        checkpoints.on_train_epoch_end(run, MODULE)
    assert run.saved == ["last.ckpt"]


def test_several_processes_check_every_tenth_step_whether_another_was_signalled(
    checkpoints: RunCheckpoints,
) -> None:
    run: Any = FakeTrainer(world_size=2)
    for _ in range(19):
        take_step(checkpoints, run)
    assert len(run.decisions) == 2  # at step 10, whether to stop and whether to save
    run.others_agree = True
    with pytest.raises(SIGTERMException):
        take_step(checkpoints, run)


def test_an_orphaned_worker_stops(checkpoints: RunCheckpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = SimpleNamespace(pid=os.getppid())
    monkeypatch.setattr("sr.callbacks.checkpoints.multiprocessing.parent_process", lambda: parent)
    take_step(checkpoints, FakeTrainer())
    parent.pid += 1
    with pytest.raises(SIGTERMException):
        take_step(checkpoints, FakeTrainer())


def test_lightnings_sigterm_handler_is_replaced_when_training_starts(checkpoints: RunCheckpoints) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    trainer: Any = SimpleNamespace()
    checkpoints.on_train_start(trainer, MODULE)
    assert signal.getsignal(signal.SIGTERM) == checkpoints._delay


def test_the_time_limit_signal_is_delayed_if_it_has_a_handler_and_passed_on_at_the_end() -> None:
    received: list[int] = []
    original = signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    try:
        checkpoints = RunCheckpoints("checkpoints")
        checkpoints.on_fit_start(MODULE, MODULE)
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
        checkpoints.release()

        signal.signal(signal.SIGUSR2, lambda number, frame: received.append(number))
        checkpoints.on_fit_start(MODULE, MODULE)
        checkpoints.pass_on()
        assert received == []
        signal.raise_signal(signal.SIGUSR2)
        assert received == []
        checkpoints.release()
        checkpoints.pass_on()
        assert received == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, original)


def test_other_signals_are_not_passed_on(checkpoints: RunCheckpoints) -> None:
    signal.raise_signal(signal.SIGTERM)
    checkpoints.release()
    checkpoints.pass_on()  # SIGTERM would end the tests here
