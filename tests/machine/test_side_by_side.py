import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from sr.machine.side_by_side import side_by_side


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


class Watch:
    """Counts what is worked on at a time."""

    def __init__(self) -> None:
        self.lock, self.now, self.most = threading.Lock(), 0, 0
        self.threads: dict[int, tuple[str, int]] = {}  # thread and threads of torch, by item

    @contextmanager
    def working(self, item: int, size: int = 1) -> Iterator[None]:
        with self.lock:
            self.now += size
            self.most = max(self.most, self.now)
            self.threads[item] = threading.current_thread().name, torch.get_num_threads()
        yield
        with self.lock:
            self.now -= size


def test_results_come_in_the_order_of_the_items() -> None:
    def work(item: int) -> int:
        time.sleep(0.02 * (item % 3 == 0))
        return item**2

    assert [*side_by_side(range(20), [1] * 20, lambda: work, workers=4, most=6)] == [item**2 for item in range(20)]


def test_no_more_is_in_flight_than_allowed() -> None:
    watch, sizes = Watch(), [3, 1, 1, 4, 2, 2, 5, 1] * 3

    def work(item: int) -> None:
        with watch.working(item, sizes[item]):
            time.sleep(0.005)

    for _ in side_by_side(range(len(sizes)), sizes, lambda: work, workers=4, most=6):
        pass
    assert 3 < watch.most <= 6


@pytest.mark.parametrize("size", [7, math.inf])
def test_a_large_item_is_worked_on_alone_with_all_threads_of_torch(size: float) -> None:
    watch = Watch()

    def work(item: int) -> int:
        with watch.working(item, 10 if item == 2 else 1):
            time.sleep(0.01)
        return item

    assert [*side_by_side(range(5), [1, 1, size, 1, 1], lambda: work, workers=2, most=6)] == [0, 1, 2, 3, 4]
    assert watch.most == 10
    assert watch.threads.pop(2) == (threading.current_thread().name, 4)
    assert {threads for _, threads in watch.threads.values()} == {1}
    assert threading.current_thread().name not in {name for name, _ in watch.threads.values()}
    assert torch.get_num_threads() == 4


def test_each_thread_makes_its_own_work() -> None:
    made: list[int] = []

    def make_work() -> Callable[[int], int]:
        made.append(threading.get_ident())
        return work

    def work(item: int) -> int:
        time.sleep(0.01)
        return made.index(threading.get_ident())

    assert {*side_by_side(range(12), [1] * 12, make_work, workers=3, most=12)} == {0, 1, 2}
    assert len(made) == len(set(made)) == 3


def test_an_error_takes_the_place_of_its_result_and_ends_all_threads() -> None:
    before = threading.active_count()

    def work(item: int) -> int:
        if item == 3:
            raise ValueError("no good")
        time.sleep(0.02)
        return item

    results = side_by_side(range(50), [1] * 50, lambda: work, workers=4, most=50)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no good"):
        next(results)
    assert threading.active_count() == before
    assert torch.get_num_threads() == 4


def test_work_is_interrupted_when_nobody_waits_for_it_any_longer() -> None:
    before, ended = threading.active_count(), []

    def work(item: int) -> None:
        if item > 0:
            try:
                while True:  # as a network with many layers
                    torch.ones(8).sum()
            finally:
                ended.append(item)

    results = side_by_side(range(3), [1] * 3, lambda: work, workers=3, most=3)
    next(results)
    time.sleep(0.1)
    results.close()  # type: ignore[attr-defined]
    assert sorted(ended) == [1, 2]
    assert threading.active_count() == before


def test_a_single_worker_is_the_calling_thread() -> None:
    names = [*side_by_side("ab", [1, 1], lambda: lambda _: threading.current_thread().name, workers=1, most=0)]
    assert names == [threading.current_thread().name] * 2
