"""Work on items side by side in threads: results in the order of the items, a bounded amount at a time."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Generic, TypeVar

import torch

from sr.machine.pools import wait_until_gone
from sr.machine.threads import restored_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    items: Sequence[Item],
    sizes: Sequence[float],
    make_work: Callable[[], Callable[[Item], Result]],
    *,
    workers: int,
    most: float,
) -> Iterator[Result]:
    """Work on items in threads, and yield the results in the order of the items.

    Each thread computes with a single thread of torch: the results do not depend on the number of workers, and there
    is no barrier at which workers wait for each other. An item larger than ``most``, and every item with a single
    worker, is left to the calling thread, alone and with all threads of torch.

    A thread that is still working when an earlier item fails, the caller stops, or Ctrl-C is pressed, is interrupted
    after its current operation.

    Args:
        items: what to work on.
        sizes: of the items, in any unit; infinite for an item to work on alone.
        make_work: called once in each thread, and in the calling one: returns a function that no other thread calls.
        workers: number of threads.
        most: the sum of the sizes of items that are begun, and whose results have not been taken.

    Yields:
        The result of each item.

    Raises:
        Exception: whatever the work on an item raises, in place of its result.
    """
    if workers == 1:
        yield from map(make_work(), items)
        return
    with restored_threads():
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # MKL has one number for all threads of the process
        pool = _Pool(make_work, workers)
        work_here: Callable[[Item], Result] | None = None
        begun, held = 0, 0.0
        try:
            for number, item in enumerate(items):
                while begun < len(items) and held + sizes[begun] <= most:
                    pool.begin(begun, items[begun])
                    held += sizes[begun]
                    begun += 1
                if number < begun:
                    yield pool.result(number)
                    held -= sizes[number]
                else:
                    work_here = work_here or make_work()
                    torch.set_num_threads(threads)
                    yield work_here(item)
                    torch.set_num_threads(1)
                    begun += 1
        finally:
            pool.close()


class _Stopped(BaseException):
    """Raised in a thread whose result nobody waits for."""


class _Pool(Generic[Item, Result]):
    """Threads that work on numbered items."""

    def __init__(self, make_work: Callable[[], Callable[[Item], Result]], workers: int) -> None:
        self._make_work = make_work
        self._tasks: SimpleQueue[tuple[int, Item] | None] = SimpleQueue()  # None ends a thread
        self._done: SimpleQueue[tuple[int, Future[Result]]] = SimpleQueue()
        self._results: dict[int, Future[Result]] = {}
        self._lock, self._working = Lock(), set[Thread]()
        self._threads = [Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def begin(self, number: int, item: Item) -> None:
        self._tasks.put((number, item))

    def result(self, number: int) -> Result:
        """Wait for the result of an item, and return it or raise its error."""
        while number not in self._results:
            done, future = self._done.get()
            self._results[done] = future
        return self._results.pop(number).result()

    def close(self) -> None:
        """End all threads, and wait until they are gone."""
        while not self._tasks.empty():
            with suppress(Exception):  # a thread was faster
                self._tasks.get_nowait()
        for _ in self._threads:
            self._tasks.put(None)
        with self._lock:
            for thread in self._working:
                _interrupt(thread)
        for thread in self._threads:
            thread.join()
        wait_until_gone(self._threads)

    def _serve(self) -> None:
        work: Callable[[Item], Result] | None = None
        with suppress(_Stopped):
            torch.set_num_threads(1)
            while (task := self._tasks.get()) is not None:
                number, item = task
                future: Future[Result] = Future()
                with self._lock:
                    self._working.add(current_thread())
                try:
                    work = work or self._make_work()
                    future.set_result(work(item))
                except _Stopped:
                    raise
                except BaseException as error:
                    future.set_exception(error)
                finally:  # while it holds the lock, it cannot be interrupted outside `suppress`
                    with self._lock:
                        self._working.discard(current_thread())
                self._done.put((number, future))


def _interrupt(thread: Thread) -> None:
    """Raise `_Stopped` in a thread before its next Python instruction, as Ctrl-C does in the main thread."""
    identity = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(_Stopped))
