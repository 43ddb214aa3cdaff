import os
import subprocess
import sys
from pathlib import Path

from sr.io.locks import hold, is_held

HOLDER = """
import os, sys, time
from pathlib import Path
from sr.io.locks import hold
with hold(Path(sys.argv[1])):
    if os.fork() == 0:
        time.sleep(60)
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_released_when_its_process_ends_though_its_children_live(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_held(path)
        with hold(path, 0.2) as acquired:
            assert not acquired
        holder.kill()
        holder.wait()
        with hold(path, 5) as acquired:
            assert acquired
            assert is_held(path)
        assert not is_held(path)
    finally:
        os.killpg(holder.pid, 9)
