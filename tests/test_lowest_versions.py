import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lowest_versions(*options: str) -> subprocess.CompletedProcess[str]:
    """Run ``scripts.release.lowest_versions``."""
    command = [sys.executable, "-m", "scripts.release.lowest_versions", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[project]\nname = "example"\ndependencies = ["torch>=2.8", "hydra-core>=1.3,<1.4"]\n'
        '[project.optional-dependencies]\ndev = ["example[demo]", "psycopg[binary] >= 3.2.1"]\n'
    )
    return path


def test_every_requirement_is_pinned_to_its_lower_bound(project: Path) -> None:
    lines = lowest_versions("--project", str(project)).stdout.splitlines()
    assert lines == ["torch==2.8", "hydra-core==1.3", "psycopg==3.2.1"]
    assert lowest_versions("--project", str(project), "--torch", "2.13.0").stdout.splitlines()[0] == "torch==2.13.0"


def test_a_requirement_without_a_lower_bound_is_refused(project: Path) -> None:
    project.write_text(project.read_text().replace("torch>=2.8", "torch"))
    completed = lowest_versions("--project", str(project))
    assert (completed.returncode, completed.stdout) == (1, "")
    assert completed.stderr == "error: torch: has no lower bound: write torch>=VERSION\n"


def test_all_requirements_of_the_project_have_a_lower_bound() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        requirement for requirements in metadata["optional-dependencies"].values() for requirement in requirements
    ]
    lines = lowest_versions().stdout.splitlines()
    assert len(lines) == len(metadata["dependencies"]) + len(extras) - 1  # dev includes the other extras
