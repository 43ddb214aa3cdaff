"""A release, in a small repository of its own; packages are made here, since building them takes a network."""

import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
TODAY = date.today().isoformat()
FILES = {
    "CHANGELOG.md": f"# Changelog\n\n## [0.3.0] - {TODAY}\n\n- New.\n\n## [0.2.0] - 2026-01-01\n",
    "CITATION.cff": 'version: 0.2.0\ndate-released: "2026-01-01"\n',
    "src/sr/version.py": '__version__ = "0.2.0"\n',
    "src/sr/weights/shipped/espcn_x2.safetensors": "weights",
    "src/sr/report/templates/report.html": "<html>",
    "src/hydra_plugins/sr_jobs/sweeper.py": "",
    "conf/train.yaml": "scale: 1\n",
    "tests/test_it.py": "",
    ".gitignore": "dist/\n",
    ".ci/run": "#!/bin/sh\necho checked\n",
}
IN_WHEEL = {
    "sr/version.py": '__version__ = "0.3.0"\n',
    "sr/weights/shipped/espcn_x2.safetensors": "weights",
    "sr/report/templates/report.html": "<html>",
    "hydra_plugins/sr_jobs/sweeper.py": "",
    "sr/conf/train.yaml": "scale: 1\n",
}


def git(folder: Path, *words: str) -> str:
    """Run git; returns its output."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    return subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / ".ci" / "run").chmod(0o755)
    git(tmp_path, "init", "--quiet", "-b", "main", str(root))
    for key, value in (("name", "A"), ("email", "a@example.org")):
        git(root, "config", f"user.{key}", value)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Start")
    return root


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    folder.mkdir()
    write_wheel(folder, IN_WHEEL)
    with tarfile.open(folder / "sr_compare-0.3.0.tar.gz", "w:gz") as archive:
        for name, text in FILES.items():
            entry = tarfile.TarInfo(f"sr_compare-0.3.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return folder


def write_wheel(folder: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(folder / "sr_compare-0.3.0-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def release(root: Path, *words: object) -> tuple[int, str, str]:
    """Run the command; returns its exit code, its output and its errors."""
    command = [sys.executable, "-m", "scripts.release.release", "--root", str(root), *map(str, words)]
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return completed.returncode, completed.stdout, completed.stderr


def test_a_release_states_its_version_commits_tags_and_says_how_to_publish_it(repository: Path, packages: Path) -> None:
    code, output, errors = release(repository, "0.3.0", "--packages", packages)
    assert (code, errors) == (0, "")
    assert output.splitlines()[1:] == [
        "tagged v0.3.0; to publish it:",
        "git push origin main v0.3.0",
        "python -m twine upload dist/sr_compare-0.3.0-py3-none-any.whl dist/sr_compare-0.3.0.tar.gz",
    ]
    assert (repository / "src/sr/version.py").read_text() == '__version__ = "0.3.0"\n'
    assert (repository / "CITATION.cff").read_text() == f'version: 0.3.0\ndate-released: "{TODAY}"\n'
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "log", "--format=%s") == "Version 0.3.0\nStart\n"
    assert git(repository, "rev-list", "-n1", "v0.3.0") == git(repository, "rev-parse", "HEAD")
    assert len(list((repository / "dist").iterdir())) == 2
    code, _, errors = release(repository, "0.3.0", "--packages", packages)
    assert (code, errors) == (1, "error: v0.3.0: this tag exists: choose another version\n")


def test_a_dry_run_writes_nothing_and_the_checks_run_if_asked_for(repository: Path) -> None:
    code, output, _ = release(repository, "0.3.0", "--dry-run")
    assert code == 0
    assert output.startswith("not run: .ci/run, which has to pass on this commit (--run-checks)\nwould write src/sr/")
    assert "checked" in release(repository, "0.3.0", "--dry-run", "--run-checks")[1]
    assert git(repository, "status", "--porcelain", "--ignored") == git(repository, "tag") == ""


def later_heading(root: Path) -> None:
    path = root / "CHANGELOG.md"
    path.write_text(path.read_text().replace(TODAY, (date.today() - timedelta(days=1)).isoformat()))
    git(root, "commit", "-qam", "Another date")


@pytest.mark.parametrize(
    ("version", "prepare", "message"),
    [
        ("0.3", lambda root: None, "0.3: a version is three numbers, such as 0.3.0"),
        ("0.3.0", lambda root: (root / "new.txt").touch(), "not clean: commit or remove new.txt"),
        ("0.3.0", lambda root: git(root, "switch", "-qc", "other"), "on other: a release is made on main"),
        ("0.3.0", lambda root: git(root, "tag", "v0.10.0"), "0.3.0: is below 0.10.0, which is tagged"),
        ("0.3.0", later_heading, f"it has to be ## [0.3.0] - {TODAY}"),
        ("0.4.0", lambda root: None, f"it has to be ## [0.4.0] - {TODAY}"),
    ],
)
def test_a_repository_that_is_not_ready_is_refused_in_one_line(
    repository: Path, packages: Path, version: str, prepare: Callable[[Path], object], message: str
) -> None:
    prepare(repository)
    before = git(repository, "rev-parse", "HEAD"), git(repository, "status", "--porcelain"), git(repository, "tag")
    code, output, errors = release(repository, version, "--packages", packages)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("error: ")
    assert message in errors
    after = git(repository, "rev-parse", "HEAD"), git(repository, "status", "--porcelain"), git(repository, "tag")
    assert after == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sr/conf/train.yaml": None}, "lacks sr/conf/train.yaml"),
        ({"sr/weights/shipped/espcn_x2.safetensors": None}, "lacks sr/weights/shipped/espcn_x2.safetensors"),
        ({"sr/report/templates/report.html": None}, "lacks sr/report/templates/report.html"),
        ({"sr/version.py": '__version__ = "0.2.0"\n'}, "its sr/version.py is not that of 0.3.0"),
    ],
)
def test_incomplete_packages_leave_everything_as_it_was(
    repository: Path, packages: Path, changed: dict[str, str | None], message: str
) -> None:
    write_wheel(packages, {name: text for name, text in {**IN_WHEEL, **changed}.items() if text is not None})
    code, _, errors = release(repository, "0.3.0", "--packages", packages)
    assert code == 1
    assert errors.startswith("error: sr_compare-0.3.0-py3-none-any.whl: ")
    assert message in errors
    assert git(repository, "status", "--porcelain", "--ignored") == git(repository, "tag") == ""
    assert (repository / "src/sr/version.py").read_text() == FILES["src/sr/version.py"]


def test_failing_checks_end_a_release_before_anything_is_written(repository: Path, packages: Path) -> None:
    (repository / ".ci" / "run").write_text("#!/bin/sh\nexit 1\n")
    git(repository, "commit", "-qam", "Break it")
    code, _, errors = release(repository, "0.3.0", "--run-checks", "--packages", packages)
    assert (code, errors) == (1, "error: .ci/run: fails: see above\n")
    assert git(repository, "status", "--porcelain", "--ignored") == git(repository, "tag") == ""
