import io
import logging
import sys

import pytest

from sr.launch.console import ConsoleHandler


def test_lines_go_to_the_standard_output_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = ConsoleHandler()
    for text in ("first", "second"):
        replaced = io.StringIO()
        monkeypatch.setattr(sys, "stdout", replaced)
        handler.emit(logging.makeLogRecord({"msg": text}))
        assert replaced.getvalue() == f"{text}\n"
