"""When a signal stops a run, and what is saved then."""

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
def test_the_first_signal_waits_and_the_second_acts_at_once(number: int, error: type[BaseException]) -> None:
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
def started() -> Iterator[RunCheckpoints]:
    """Checkpoints of a run that has begun to train."""
    checkpoints = RunCheckpoints("checkpoints", minutes=2)
    checkpoints.on_fit_start(MODULE, MODULE)
    yield checkpoints
    checkpoints.release()


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SIGTERMException)])
def test_a_signal_stops_the_run_after_its_step_with_a_checkpoint(
    started: RunCheckpoints, number: int, error: type[BaseException]
) -> None:
    run: Any = FakeTrainer()
    signal.raise_signal(number)
    with pytest.raises(error) as raised:
        take_step(started, run)
    assert run.saved == []
    started.on_exception(run, MODULE, raised.value)
    assert run.saved == ["last.ckpt"]


def test_an_error_keeps_the_checkpoint_written_before(started: RunCheckpoints) -> None:
    run: Any = FakeTrainer()
    take_step(started, run)
    started.on_exception(run, MODULE, RuntimeError())
    assert run.saved == []


def test_a_signal_in_the_last_step_of_an_epoch_stops_after_the_epoch_is_saved(started: RunCheckpoints) -> None:
    run: Any = FakeTrainer()
    signal.raise_signal(signal.SIGTERM)
    take_step(started, run, is_last=True)
    run.callback_metrics = {"val/psnr": torch.tensor(30.0)}
    with pytest.raises(SIGTERMException):
        started.on_train_epoch_end(run, MODULE)
    assert run.saved == ["last.ckpt"]


def test_several_processes_stop_if_another_one_was_signalled_and_ask_at_every_tenth_step(
    started: RunCheckpoints,
) -> None:
    run: Any = FakeTrainer(world_size=2)
    for _ in range(19):
        take_step(started, run)
    assert len(run.asked) == 2  # at step 10, whether to stop and whether to save
    run.others_agree = True
    with pytest.raises(SIGTERMException):
        take_step(started, run)


def test_an_orphaned_worker_stops(started: RunCheckpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = SimpleNamespace(pid=os.getppid())
    monkeypatch.setattr("sr.callbacks.checkpoints.multiprocessing.parent_process", lambda: parent)
    take_step(started, FakeTrainer())
    parent.pid += 1
    with pytest.raises(SIGTERMException):
        take_step(started, FakeTrainer())


def test_lightnings_handler_of_sigterm_is_replaced_when_training_starts(started: RunCheckpoints) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    trainer: Any = SimpleNamespace()
    started.on_train_start(trainer, MODULE)
    assert signal.getsignal(signal.SIGTERM) == started._delay


def test_the_time_limit_signal_is_delayed_if_somebody_listens_and_passed_on_last() -> None:
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


def test_other_signals_are_not_passed_on(started: RunCheckpoints) -> None:
    signal.raise_signal(signal.SIGTERM)
    started.release()
    started.pass_on()  # SIGTERM would end the tests here
