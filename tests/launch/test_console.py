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
