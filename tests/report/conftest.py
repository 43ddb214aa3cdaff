from pathlib import Path

import pytest

from tests.support.run_folders import RunFolders


@pytest.fixture
def run_folders(tmp_path: Path) -> RunFolders:
    """Writes run folders in a temporary folder."""
    return RunFolders(tmp_path / "runs")
