from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

import sr

ROOT = Path(__file__).parents[1]


def read_yaml(name: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(ROOT / name))


def test_the_citation_names_this_version_and_its_date_in_the_changelog() -> None:
    citation = read_yaml("CITATION.cff")
    assert citation["version"] == sr.__version__
    heading = f"## [{sr.__version__}] - {citation['date-released']}"
    assert heading in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()


def test_pre_commit_runs_the_commands_of_make_lint_and_make_types() -> None:
    commands = {hook["entry"] for repo in read_yaml(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]}
    makefile = (ROOT / "Makefile").read_text().splitlines()
    of_make = [line.strip() for line in makefile if line.startswith(("\t$(BIN)/ruff", "\t$(BIN)/mypy"))]
    expected = {line.replace("$(BIN)", ".venv/bin").removesuffix(" .") for line in of_make}
    assert {command.removesuffix(" --force-exclude") for command in commands} == expected
    assert len(expected) == 3
