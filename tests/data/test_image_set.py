import gc
import weakref

import pytest

from sr.data.image_set import ImageSetPool
from sr.data.pairs import load_pair
from sr.data.sources import isr_folders
from sr.data.stores import store
from tests.support.runs import MakeFolder

SETTINGS = {"scale": 1, "shrink": 2, "kind": "memory"}


class User:
    """Stands in for a data module, which requests images."""


def test_equal_requests_share_the_decoded_images(make_folder: MakeFolder) -> None:
    pool, users = ImageSetPool(), [User(), User()]
    sources = isr_folders(make_folder(count=2))
    first, second = (pool.acquire(user, sources, **SETTINGS) for user in users)
    assert first is second
    pool.release(users[0])
    pool.release(users[1])
    assert pool.acquire(User(), sources, **SETTINGS) is first


def test_unused_images_are_closed_before_others_are_decoded(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, user = ImageSetPool(), User()
    first = pool.acquire(user, isr_folders(make_folder(count=2)), **SETTINGS)
    image = weakref.ref(first.store[0][1])
    first_is_alive = []

    def load_and_watch(*args: object, **settings: object) -> object:
        first_is_alive.append(image() is not None)
        return load_pair(*args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "load_pair", load_and_watch)
    pool.acquire(user, isr_folders(make_folder(count=2, name="other")), **SETTINGS)
    assert first_is_alive == [False, False]
    assert first.store.closed
    with pytest.raises(RuntimeError, match="is closed"):
        first.store[0]
    assert not pool.retain(user, first)


def test_images_stay_open_until_their_user_is_garbage_collected(make_folder: MakeFolder) -> None:
    pool, user = ImageSetPool(), User()
    first = pool.acquire(user, isr_folders(make_folder(count=2)), **SETTINGS)
    second = pool.acquire(User(), isr_folders(make_folder(count=2, name="b")), **SETTINGS)
    assert first.store[1][0].shape == (3, 48, 64)
    del user
    gc.collect()
    third = pool.acquire(User(), isr_folders(make_folder(count=2, name="c")), **SETTINGS)
    assert (first.store.closed, second.store.closed, third.store.closed) == (True, True, False)
    pool.close()
    assert third.store.closed
