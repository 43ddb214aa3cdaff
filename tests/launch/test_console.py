import io
import logging
import sys

import pytest

from sr.launch.console import ConsoleHandler


def test_lines_go_to_the_current_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = ConsoleHandler()
    for text in ("first", "second"):
        stdout = io.StringIO()
        monkeypatch.setattr(sys, "stdout", stdout)
        handler.emit(logging.makeLogRecord({"msg": text}))
        assert stdout.getvalue() == f"{text}\n"


def test_lines_that_a_progress_bar_shows_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    handler = ConsoleHandler()
    for in_bar in (True, False):
        handler.handle(logging.makeLogRecord({"msg": f"in_bar={in_bar}", "in_bar": in_bar}))
    assert stdout.getvalue() == "in_bar=False\n"
