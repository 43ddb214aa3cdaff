"""The arrows of the design: who may import whom."""

import ast
from pathlib import Path

import sr

ROOT = Path(sr.__file__).parent

# errors says how anything ends, and files is where anything touches the disk: both import nothing that steers.
ALLOWED = {
    "errors": set(),
    "image": set(),
    "files": {"errors"},
    "schedules": {"errors"},
    "nets": {"errors", "image", "nets"},
    "losses": {"errors"},
    "metrics": {"errors", "image"},
    "sources": {"errors", "files", "image"},
    "splits": {"errors"},
    "cache": {"errors", "files", "sources"},
    "duplicates": {"files"},
    "batches": {"cache", "image"},
    "datamodule": {"batches", "cache", "duplicates", "errors", "image", "sources", "splits"},
    "callbacks": {"errors", "files", "image"},
    "lit_module": set(),
    "checkpoint": {"errors"},
    "result": {"errors", "files"},
    "fit": {"callbacks", "checkpoint", "errors", "lit_module", "result"},
    "folds": {"errors", "files", "fit", "result"},
    "train": {"errors", "folds"},
}


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("sr.")}
    return found


def test_no_module_imports_against_the_arrows() -> None:
    modules = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
    assert len(modules) > 15
    for path in modules:
        part = path.relative_to(ROOT).parts[0].removesuffix(".py")
        assert part in ALLOWED, f"{path.name} has no place in the design"
        wrong = imports_of(path) - ALLOWED[part]
        assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"


def test_the_command_answers_before_torch_is_imported() -> None:
    for node in ast.parse((ROOT / "train.py").read_text()).body:
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not {name.split(".")[0] for name in names} & {"torch", "lightning", "numpy"}
        assert "sr.folds" not in names
