import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sr.machine.children import interrupt, start

# A child that says what it receives, and a parent that waits for it.
CHILD = "import signal, time\n" + "".join(
    f"signal.signal(signal.{name}, lambda *_: (print('{name}', flush=True), exit(0)))\n"
    for name in ("SIGINT", "SIGTERM")
)
WAITS = f"{CHILD}print('ready', flush=True)\ntime.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on(number: signal.Signals) -> None:
    with start([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        assert os.getsid(child.pid) != os.getsid(0)
        interrupt(child, number)
        assert child.stdout.read() == f"{number.name}\n"
    interrupt(child)  # it has ended: nothing to do


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "said"
    parent_code = (
        "import sys, time\nfrom sr.machine.children import start\n"
        f"start([sys.executable, '-c', {WAITS!r}], stdout=open({str(said)!r}, 'w'))\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent_code]) as parent:
        _wait_for(said, "ready\n")
        parent.kill()
    _wait_for(said, "ready\nSIGTERM\n")


def test_on_windows_a_group_of_processes_gets_ctrl_break(monkeypatch: pytest.MonkeyPatch) -> None:
    flag, ctrl_break = 0x200, 1
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", flag, raising=False)
    monkeypatch.setattr(signal, "CTRL_BREAK_EVENT", ctrl_break, raising=False)
    monkeypatch.delattr(os, "killpg")
    calls: list[Any] = []

    class Process:
        def __init__(self, command: list[str], **options: Any) -> None:
            calls.append((command, options))

        def poll(self) -> None:
            return None

        def send_signal(self, number: int) -> None:
            calls.append(number)

    monkeypatch.setattr(subprocess, "Popen", Process)
    interrupt(start(["program"], text=True))
    assert calls == [(["program"], {"creationflags": flag, "text": True}), ctrl_break]


def _wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 30
    while not path.is_file() or path.read_text() != text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
