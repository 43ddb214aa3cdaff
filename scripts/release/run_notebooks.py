"""Execute the notebooks of examples/notebooks, and keep their outputs in them.

python -m scripts.release.run_notebooks      # writes the notebooks; their runs go to a temporary folder
"""

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[2] / "examples" / "notebooks"

_SECONDS = 600  # that a cell may take


def executed(path: Path, folder: Path) -> NotebookNode:
    """A notebook with the outputs of all its cells, executed in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=_SECONDS, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def main() -> None:
    """Execute all notebooks."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = executed(path, Path(folder))
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # times, which differ each time
            for output in cell.get("outputs", []):
                output.get("data", {}).pop("image/jpeg", None)  # pictures are there as PNG, too
        notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        print(path)


if __name__ == "__main__":
    main()
