"""The example notebooks, executed as a reader would."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PATHS = sorted(Path(__file__).parents[2].joinpath("examples/notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert [path.stem for path in PATHS] == ["compare_losses", "use_a_model"]


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_cell_of_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:  # fewer epochs, for time
        cell.source = cell.source.replace("trainer.max_epochs=12", "trainer.max_epochs=1")
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
