import ctypes
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sr.machine.pools import thread_pool
from sr.machine.side_by_side import side_by_side

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not list the threads of a process")
MICROSECONDS = 200_000


@pytest.fixture
def end_slowly() -> Callable[[], int]:
    """Makes the calling thread run a thread-local destructor of some time, as MKL's, and returns its number."""
    library = ctypes.CDLL(None)
    key = ctypes.c_uint()
    assert library.pthread_key_create(ctypes.byref(key), library.usleep) == 0

    def mark() -> int:
        assert library.pthread_setspecific(key, ctypes.c_void_p(MICROSECONDS)) == 0
        return threading.get_native_id()

    return mark


def is_there(thread: int) -> bool:
    return Path(f"/proc/self/task/{thread}").exists()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python joins threads of the system since 3.13")
def test_threads_that_python_has_joined_may_be_there_still(end_slowly: Callable[[], int]) -> None:
    numbers: list[int] = []
    thread = threading.Thread(target=lambda: numbers.append(end_slowly()))
    thread.start()
    thread.join()
    assert is_there(numbers[0])


def test_threads_of_a_pool_are_gone_when_it_ends(end_slowly: Callable[[], int]) -> None:
    with thread_pool(2) as pool:
        numbers = [pool.submit(end_slowly).result() for _ in range(4)]
        assert is_there(numbers[0])
    assert not any(map(is_there, numbers))


def test_threads_are_gone_when_the_pool_ends_by_an_error(end_slowly: Callable[[], int]) -> None:
    numbers: list[int] = []

    def fail() -> None:
        with thread_pool(1) as pool:
            numbers.append(pool.submit(end_slowly).result())
            raise ValueError("outside")

    with pytest.raises(ValueError, match="outside"):
        fail()
    assert not is_there(numbers[0])


def test_threads_side_by_side_are_gone_at_the_end(end_slowly: Callable[[], int]) -> None:
    items = [1.0, 1.0, 1.0]
    numbers = list(side_by_side(items, items, lambda: lambda _: end_slowly(), workers=2, most=3.0))
    assert threading.get_native_id() not in numbers
    assert not any(map(is_there, numbers))
