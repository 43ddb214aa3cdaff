"""The program in the commands that a search prints; tests/search/conftest.py replaces it in the other tests."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from hydra_plugins.sr_optuna import _best

program = _best._program  # before the fixture replaces it


def test_printed_commands_use_the_program_as_started(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    main.__spec__ = ModuleSpec("sr.train", None)
    assert program() == ["python", "-m", "sr.train"]
    main.__spec__ = None
    monkeypatch.setattr(sys, "argv", ["search.py", "x=1"])
    assert program() == ["python", "search.py"]
