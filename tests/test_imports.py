"""Which folder may import which."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sr

ROOT = Path(sr.__file__).parent

# A row for each folder and top-level module: what it may import besides itself, all from rows above it.
# A dotted name allows one module of a folder.
ALLOWED: dict[str, set[str]] = {
    "version": set(),
    "errors": set(),
    "terms": set(),
    "arrays": set(),
    "image": {"arrays"},
    "schedules": {"errors"},
    "architectures": {"errors"},
    "nets": {"architectures", "errors", "image", "terms"},
    "io": {"errors", "image", "terms"},
    "vgg": {"errors", "io"},
    "metrics": {"errors", "image", "terms", "vgg"},
    # `metrics`: some are losses, too.
    "losses": {"errors", "image", "metrics", "vgg"},
    "machine": {"errors", "image", "io", "terms", "version"},
    "lit_module": {"io", "terms", "vgg"},
    "data": {"arrays", "errors", "image", "io", "machine.memory", "machine.pools", "machine.processes", "terms"},
    "datamodule": {"data", "errors", "image", "io", "terms"},
    "trackers": {"errors", "io"},
    "callbacks": {"errors", "image", "io", "metrics", "terms", "trackers"},
    "weights": {"architectures", "arrays", "errors", "io", "terms"},
    "options": {"errors"},
    "runs": {
        *("callbacks", "datamodule", "errors", "io", "lit_module", "machine", "metrics", "options", "terms"),
        *("trackers", "weights"),
    },
    # `data.parts`: lists the images as the run will do.
    "launch": {
        *("data.parts", "errors", "io", "machine.children", "machine.processes"),
        *("options", "runs.status", "runs.trained_on", "terms"),
    },
    "train": {"errors", "launch", "machine.garbage", "runs", "terms"},
    "inference": {"arrays", "errors", "image", "io", "machine", "terms", "weights"},
    # `runs.schema`: what `sr speed` measures completes the record of a run. `runs.trained_on`: `sr evaluate` warns of
    # scores on images that a model was trained on.
    "benchmark": {
        "data",
        "errors",
        "image",
        "inference",
        "io",
        "machine",
        "metrics",
        "runs.best",
        "runs.schema",
        "runs.status",
        "runs.trained_on",
        "terms",
        "weights",
    },
    "report": {"errors", "io", "runs.identity", "runs.schema", "runs.scores", "runs.status", "terms"},
    "race": {"errors", "io", "launch.names", "machine.children", "report", "runs.schema"},
    # `train`: knows where the config groups are, which name the metrics of `evaluate`.
    "api": {
        "benchmark",
        "data",
        "inference",
        "io",
        "launch",
        "report",
        "runs.best",
        "runs.schema",
        "terms",
        "train",
        "weights",
    },
    "__init__": {"api", "version"},
    "demo": {
        "__init__",
        "errors",
        "image",
        "inference",
        "io",
        "machine",
        "metrics",
        "report",
        "runs.best",
        "runs.schema",
        "terms",
        "weights",
    },
    # Brings the record of a run and its weights together.
    "card": {"errors", "io", "runs.schema", "runs.scores", "terms", "version", "weights"},
    "commands": {
        "__init__",
        "benchmark",
        "card",
        "data",
        "demo",
        "errors",
        "inference",
        "io",
        "launch.names",
        "options",
        "race",
        "report",
        "runs",
        "terms",
        "train",
        "weights",
    },
    "cli": {"commands", "errors", "machine.garbage", "train", "version"},
}

# Modules that must be quick to import: they are loaded before it is known whether torch is needed.
LIGHT = (
    *(
        "cli",
        "commands",
        "errors",
        "io.atomic",
        "io.locks",
        "io.paths",
        "io.run_folder",
        "io.tables",
        "machine.children",
        "machine.garbage",
        "machine.processes",
        "terms",
    ),
    *("launch", "options", "runs.best", "runs.listing", "runs.migration", "runs.schema", "runs.scores", "runs.status"),
    *("train", "version"),
)

# Modules of `sr predict` with exported networks, which runs where torch is not installed.
WITHOUT_TORCH = (
    *("arrays", "inference.alpha", "inference.animate", "inference.array_enlarger", "inference.channels"),
    *("inference.inputs", "inference.overwriting", "inference.pictures", "inference.predict", "inference.records"),
    *("inference.unused", "inference.video", "inference.watch", "inference.windows"),
    *("io.animations", "io.bars", "io.bounded", "io.decoders", "io.directories", "io.formats", "io.hashes"),
    *("io.images", "io.metadata", "io.pictures", "io.pixel_formats", "io.second_reader", "io.tiffs"),
    *("weights.model", "weights.onnx.hints", "weights.onnx.network", "weights.onnx.providers", "weights.onnx.session"),
)


def modules_of(name: str) -> list[Path]:
    """The files of a module or folder of `sr`, by its dotted name."""
    path = ROOT / name.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def imports_of(path: Path, *, at_start: bool = False) -> Iterator[str]:
    """Dotted names that a file imports; with ``at_start`` only those outside functions."""
    tree = ast.parse(path.read_text())
    for node in tree.body if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sr_imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """(row, row and module) of each import from `sr` in a file."""
    for name in imports_of(path):
        package, *rest = name.split(".")
        if package == "sr":
            parts = rest if (ROOT / rest[0]).is_dir() or (ROOT / f"{rest[0]}.py").is_file() else ["__init__"]
            yield parts[0], ".".join(parts[:2])


def test_every_folder_and_module_has_a_row() -> None:
    parts = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in ROOT.rglob("*.py")}
    assert parts == set(ALLOWED)


def test_rows_name_only_rows_above_them_so_imports_are_acyclic() -> None:
    rows = list(ALLOWED)
    for number, (row, allowed) in enumerate(ALLOWED.items()):
        assert {name.split(".")[0] for name in allowed} <= set(rows[:number]), row


@pytest.mark.parametrize("row", ALLOWED)
def test_no_folder_imports_more_than_its_row_allows(row: str) -> None:
    for path in modules_of(row):
        for part, module in sr_imports_of(path):
            allowed = part == row or part in ALLOWED[row] or module in ALLOWED[row]
            assert allowed, f"{path.relative_to(ROOT)} must not import sr.{module}"


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    for path in modules_of(module):
        for name in imports_of(path, at_start=True):
            assert name.split(".")[0] not in {"torch", "lightning", "numpy", "PIL"}, path
            if name.startswith("sr.") and ".commands." not in name:
                assert any(f"{name}.".startswith(f"sr.{light}.") for light in LIGHT), f"{path} imports {name}"


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_exported_networks_enlarge_without_torch(module: str) -> None:
    for path in modules_of(module):
        for name in imports_of(path, at_start=True):
            assert name.split(".")[0] not in {"torch", "lightning"}, path
            if name.startswith("sr."):
                known = (*LIGHT, *WITHOUT_TORCH)
                assert any(f"{name}.".startswith(f"sr.{free}.") for free in known), f"{path} imports {name}"


def test_the_sweeper_does_not_import_sr_and_sr_imports_nothing_private_of_it() -> None:
    plugin_paths = sorted((ROOT.parent / "hydra_plugins").rglob("*.py"))
    assert len(plugin_paths) > 5
    for path in plugin_paths:
        assert not [name for name in imports_of(path) if name.split(".")[0] == "sr"], path
    paths = [*ROOT.rglob("*.py"), *(ROOT.parents[1] / "scripts").rglob("*.py")]
    assert len(paths) > 50
    for path in paths:
        private = [name for name in imports_of(path) if name.startswith("hydra_plugins.sr_optuna._")]
        assert not private, path


def test_no_test_imports_a_script_another_test_or_a_conftest() -> None:
    tests = sorted(Path(__file__).parent.rglob("*.py"))
    assert len(tests) > 50
    for path in tests:
        for name in imports_of(path):
            package, *rest = name.split(".")
            assert package not in {"scripts", "conftest"}, f"{path} imports {name}"
            assert package != "tests" or rest[:1] == ["support"], f"{path} imports {name}: move it to tests/support"
