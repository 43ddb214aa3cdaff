"""Ctrl-C stops pytest, although the runs that tests start handle it themselves."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TESTS = """
from tests.conftest import *  # its fixtures


def test_trains(command, make_folder):
    command("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=100000", "logger=none")


def test_must_not_begin():
    raise AssertionError("the next test began")
"""


@pytest.mark.slow
def test_ctrl_c_while_a_test_trains_ends_the_session(tmp_path: Path) -> None:
    (tmp_path / "test_generated.py").write_text(TESTS)
    argv = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={ROOT}"]
    argv += ["-p", "no:cacheprovider", f"--basetemp={tmp_path / 'tmp'}", str(tmp_path / "test_generated.py")]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("tmp/**/metrics.csv")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2, output  # pytest's code for an interrupted session
    assert "the next test began" not in output
