import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("multirun", [[], ["-m", "model=espcn"]])
def test_a_default_folder_that_cannot_be_written_to_is_named_in_one_line(tmp_path: Path, multirun: list[str]) -> None:
    (tmp_path / "runs").write_text("a file where the folder of all runs should be")
    command = [sys.executable, "-m", "sr.train", *multirun, "debug=tiny"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    lines = (ended.stdout + ended.stderr).strip().splitlines()
    assert ended.returncode == 2
    assert len(lines) == 1
    assert "error: runs/" in lines[0]
    assert "cannot be written to" in lines[0]
    assert lines[0].endswith(f"name another with hydra.{'sweep' if multirun else 'run'}.dir=DIR")
