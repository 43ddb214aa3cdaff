"""How the commands that a search prints name the program; tests/search/conftest.py sets that for all other tests."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from hydra_plugins.sr_optuna import _best

program = _best._program  # before the fixture replaces it


def test_the_program_is_named_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    main.__spec__ = ModuleSpec("sr.train", None)
    assert program() == ["python", "-m", "sr.train"]
    main.__spec__ = None
    monkeypatch.setattr(sys, "argv", ["search.py", "x=1"])
    assert program() == ["python", "search.py"]
