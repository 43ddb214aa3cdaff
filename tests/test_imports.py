"""The arrows of the design: who may import whom."""

import ast
from pathlib import Path

import sr

ROOT = Path(sr.__file__).parent

ALLOWED = {
    "errors": set(),
    "writing": set(),
    "console": set(),
    "locks": set(),
    "logs": set(),
    "image": set(),
    "schedules": {"errors"},
    "files": {"errors"},
    "nets": {"errors", "image", "nets"},
    "losses": {"errors"},
    "metrics": {"errors", "image"},
    "sources": {"errors", "files", "image"},
    "splits": {"errors"},
    "duplicates": {"files"},
    "pairs": {"image"},
    "check": {"duplicates", "errors", "files", "image", "pairs", "sources", "writing"},
    "cache": {"console", "errors", "files", "locks", "packed", "sources", "writing"},
    "batches": {"cache", "packed"},
    "datamodule": {"batches", "cache", "duplicates", "errors", "image", "pairs", "sources", "splits"},
    "callbacks": {"callbacks", "errors", "files", "image", "logs", "writing"},
    "lit_module": {"logs"},
    "archive": set(),
    "checkpoint": {"archive", "errors", "writing"},
    "measure": set(),
    "packed": set(),
    "place": set(),
    "hardware": {"errors", "image", "writing"},
    "result": {"errors", "locks", "writing"},
    "record": {"errors", "locks", "measure", "result", "writing"},
    "resume": {"archive", "callbacks", "errors", "writing"},
    "fit": {
        "callbacks",
        "checkpoint",
        "console",
        "errors",
        "hardware",
        "lit_module",
        "measure",
        "record",
        "result",
        "resume",
    },
    "folds": {"errors", "fit", "record", "result", "writing"},
    "sweep": {"errors", "result", "writing"},
    "report": {"errors", "report", "result", "sweep", "writing"},
    "train": {"errors", "folds", "sweep"},
    "infer": {"image"},
    "models": {"checkpoint", "errors", "export", "zoo"},
    "export": {"checkpoint", "errors", "writing"},
    "picture": {"errors", "files"},
    "enlarger": {"errors", "hardware", "image", "infer", "models", "picture"},
    "predict": {"enlarger", "errors", "models", "picture", "video", "writing"},
    "video": {"enlarger", "errors", "picture", "writing"},
    "evaluate": {"errors", "files", "image", "infer", "metrics", "models", "sources", "writing"},
    "zoo": {"errors", "writing"},
    "selftest": {"errors", "files", "image", "metrics", "sources", "writing"},
    "guard": set(),
    "demo": {
        "enlarger",
        "errors",
        "guard",
        "hardware",
        "image",
        "load",
        "metrics",
        "models",
        "picture",
        "report",
        "result",
        "zoo",
    },
    "cli": {
        "check",
        "demo",
        "errors",
        "evaluate",
        "export",
        "files",
        "load",
        "models",
        "picture",
        "predict",
        "report",
        "selftest",
        "sweep",
        "train",
        "zoo",
    },
}

# What reads run folders has to start at once.
LIGHT = ("cli", "console", "errors", "locks", "result", "sweep", "train", "writing")


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "sr":
            names += [f"sr.{alias.name}" for alias in node.names]
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


def test_what_reads_run_folders_starts_without_torch() -> None:
    for module in LIGHT:
        for node in ast.parse((ROOT / f"{module}.py").read_text()).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names} & {"torch", "lightning", "numpy", "PIL"}
            assert not {name.split(".")[1] for name in names if name.startswith("sr.")} - set(LIGHT)


def test_the_sweeper_knows_nothing_of_ours() -> None:
    modules = sorted((ROOT.parent / "hydra_plugins").rglob("*.py"))
    assert len(modules) > 5
    for path in modules:
        assert not imports_of(path), f"{path.name} imports sr"
