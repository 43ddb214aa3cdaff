import tomllib
from pathlib import Path

import pytest

from scripts.release.lowest_versions import ROOT, lowest


def test_every_requirement_is_pinned_to_its_lower_bound(tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\nname = "own"\ndependencies = ["torch>=2.8", "hydra-core>=1.3,<1.4"]\n'
        '[project.optional-dependencies]\ndev = ["own[demo]", "psycopg[binary] >= 3.2.1"]\n'
    )
    assert lowest(project) == ["torch==2.8", "hydra-core==1.3", "psycopg==3.2.1"]
    assert lowest(project, "2.13.0")[0] == "torch==2.13.0"
    project.write_text(project.read_text().replace("torch>=2.8", "torch"))
    with pytest.raises(ValueError, match="torch: has no lower bound: write torch>=VERSION"):
        lowest(project)


def test_the_projects_own_requirements_all_have_one() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for names in about["optional-dependencies"].values() for one in names]
    assert len(lowest(ROOT / "pyproject.toml")) == len(about["dependencies"]) + len(extras) - 1
