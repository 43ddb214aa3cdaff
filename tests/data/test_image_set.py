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
    """What asks for images: a data module."""


def test_equal_requests_share_what_was_decoded(make_folder: MakeFolder) -> None:
    pool, users = ImageSetPool(), [User(), User()]
    sources = isr_folders(make_folder(count=2))
    first, second = (pool.acquire(user, sources, **SETTINGS) for user in users)
    assert first is second
    pool.release(users[0])
    pool.release(users[1])
    assert pool.acquire(User(), sources, **SETTINGS) is first


def test_what_nobody_uses_is_closed_before_others_are_decoded(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, user = ImageSetPool(), User()
    first = pool.acquire(user, isr_folders(make_folder(count=2)), **SETTINGS)
    image = weakref.ref(first.store[0][1])
    alive = []

    def watched(*args: object, **settings: object) -> object:
        alive.append(image() is not None)
        return load_pair(*args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "load_pair", watched)
    pool.acquire(user, isr_folders(make_folder(count=2, name="other")), **SETTINGS)
    assert alive == [False, False]
    assert first.store.closed
    with pytest.raises(RuntimeError, match="was closed"):
        first.store[0]
    assert not pool.retain(user, first)


def test_what_is_in_use_stays_open_until_its_user_is_gone(make_folder: MakeFolder) -> None:
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
