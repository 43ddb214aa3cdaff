from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from tests.support.run_folders import RunFolders


@pytest.fixture
def run_folders(tmp_path: Path) -> RunFolders:
    """Writes run folders in a temporary folder."""
    return RunFolders(tmp_path / "runs")


@pytest.fixture
def drawn_figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Collects the figures in the order in which they are saved."""
    saved_figures: list[Figure] = []
    save = Figure.savefig

    def savefig(figure: Figure, *args: Any, **kwargs: Any) -> None:
        saved_figures.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return saved_figures
