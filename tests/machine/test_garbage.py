import subprocess
import sys

import pytest

COUNTED = """
import atexit, gc, sys

ended = []
gc.callbacks.append(lambda phase, details: ended.append(phase == "stop"))
atexit.register(lambda: print(sum(ended), file=sys.stderr))
"""
TORCH = "\nimport torch"
CLI = "from sr.cli import main; main(['models'])"
TRAIN = """
from sr.train import main

sys.argv[1:] = ["--help"]
try:
    main()
except SystemExit:
    pass
"""


def searches(code: str) -> int:
    """How often a Python process that runs ``code`` searches for garbage."""
    ended = subprocess.run([sys.executable, "-c", COUNTED + code], capture_output=True, text=True, check=True)
    return int(ended.stderr.splitlines()[-1])


@pytest.mark.parametrize("code", [CLI, TRAIN], ids=["sr", "sr.train"])
def test_commands_hardly_search_what_packages_define(code: str) -> None:
    assert searches(code + TORCH) < searches(TORCH) / 3
