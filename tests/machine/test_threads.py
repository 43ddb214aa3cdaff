import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch

from sr.machine import threads
from sr.machine.quiet import ProcessorWatch
from sr.machine.threads import choose_threads, reduce_threads, restored_threads


class Watch(ProcessorWatch):
    """Has watched for a second, and seen others use some of the processors."""

    def __init__(self, others: float | None, processors: int = 2) -> None:
        super().__init__()
        self.processors, self._others = frozenset(range(processors)), others

    @property
    def seconds(self) -> float:
        return 1.0

    def cores_of_others(self) -> float | None:
        return self._others


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on a machine with two processors, whose user has not said how many threads to use."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, float]], list[Sequence[int]]]:
    """Fake the seconds of a step with each number of threads; returns the list of what was tried."""

    def fake(seconds: dict[int, float]) -> list[Sequence[int]]:
        trials: list[Sequence[int]] = []

        def measure(candidates: Sequence[int]) -> dict[int, float]:
            trials.append(candidates)
            return {number: seconds[number] for number in candidates}

        monkeypatch.setattr(threads, "_seconds_of_step", measure)
        return trials

    return fake


def test_fewer_threads_are_used_and_announced_where_others_slow_all_of_them_down(
    tried: Any, caplog: pytest.LogCaptureFixture
) -> None:
    tried({2: 5.0, 1: 1.0})
    reduce_threads(Watch(1.24))
    assert torch.get_num_threads() == 1
    assert caplog.messages == [
        "threads: other processes use 1.2 of 2 processors: training with 1 thread (trainer.threads=N)"
    ]


@pytest.mark.parametrize(("others", "fewer"), [(0.3, 15), (1.2, 14), (7.9, 8), (15.9, 1)])
def test_as_many_threads_are_tried_as_leave_others_their_processors(tried: Any, others: float, fewer: int) -> None:
    torch.set_num_threads(16)
    trials = tried({16: 2.0, fewer: 1.0})
    reduce_threads(Watch(others, 16))
    assert trials == [(16, fewer)]
    assert torch.get_num_threads() == fewer


def test_all_threads_stay_where_they_are_as_fast_beside_others(tried: Any, caplog: pytest.LogCaptureFixture) -> None:
    trials = tried({2: 1.05, 1: 1.0})  # others of low priority
    reduce_threads(Watch(1.0))
    assert len(trials) == 1
    assert torch.get_num_threads() == 2
    assert not caplog.messages


@pytest.mark.parametrize("others", [None, 0.0, 0.2])
def test_nothing_is_tried_on_a_machine_that_is_quiet_or_does_not_say(tried: Any, others: float | None) -> None:
    trials = tried({})
    reduce_threads(Watch(others))
    assert (trials, torch.get_num_threads()) == ([], 2)


def test_nothing_is_tried_for_one_thread_in_a_worker_and_where_the_user_has_said_how_many(
    tried: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = tried({})
    with monkeypatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "2")
        reduce_threads(Watch(1.5))
    with monkeypatch.context() as patch:
        patch.setattr(threads, "in_worker", lambda: True)
        reduce_threads(Watch(1.5))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    reduce_threads(Watch(1.5))
    torch.set_num_threads(2)
    reduce_threads(Watch(1.5, 4))  # two of four processors are free for its two threads
    assert not trials


def test_a_short_watch_is_continued(tried: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr(Watch, "seconds", 0.1)
    tried({})
    reduce_threads(Watch(0.0))
    assert slept == [pytest.approx(0.2)]


def test_a_number_is_used_whatever_the_machine_does_and_given_to_child_processes(tried: Any) -> None:
    trials = tried({})
    with restored_threads():
        choose_threads(3, Watch(1.5), may_reduce=True)
        assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (3, "3")
    assert (torch.get_num_threads(), "OMP_NUM_THREADS" in os.environ, trials) == (2, False, [])


def test_auto_changes_nothing_on_a_gpu_or_in_one_of_several_processes(tried: Any) -> None:
    trials = tried({})
    choose_threads("auto", Watch(1.5), may_reduce=False)
    assert (torch.get_num_threads(), trials) == (2, [])


def test_the_number_is_restored_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def run() -> None:
        with restored_threads():
            choose_threads(1, Watch(0.0), may_reduce=True)
            raise ValueError("of the run")

    with pytest.raises(ValueError, match="of the run"):
        run()
    assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (2, "2")


def test_the_trial_times_every_number_and_leaves_threads_and_random_state_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_TRIAL_SECONDS", 0.0)
    state = torch.get_rng_state()
    seconds = threads._seconds_of_step((2, 1))
    assert set(seconds) == {1, 2}
    assert min(seconds.values()) > 0
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), state)
