from pathlib import Path

import pytest

from tests.support.run_folders import RunFolders


@pytest.fixture
def run_folders(tmp_path: Path) -> RunFolders:
    """A maker of run folders in a temporary place."""
    return RunFolders(tmp_path / "runs")
