"""Make a release: state its version, build and check the packages, commit and tag. Nothing is pushed or uploaded.

python -m scripts.release.release 0.3.0 --dry-run     # what is checked before anything is written
python -m scripts.release.release 0.3.0               # or: make release VERSION=0.3.0
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from sr.errors import UserError, line_of, listed
from sr.io.atomic import write_text

ROOT = Path(__file__).parents[2]

_CHANGELOG, _CITATION = "CHANGELOG.md", "CITATION.cff"
_VERSION_FILE, _VERSION_IN_WHEEL = "src/sr/version.py", "sr/version.py"
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_BRANCH = "main"

# Folders of the source, and where a wheel has their files: networks that ship, templates and configs among them.
_IN_WHEEL = {"conf": "sr/conf", "src/sr": "sr", "src/hydra_plugins": "hydra_plugins"}
_IN_SDIST = ("src", "conf", "scripts", "tests", "docs")


def main() -> None:
    """Read the command line and release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="such as 0.3.0; CHANGELOG.md has to have a section of it with today's date")
    parser.add_argument("--dry-run", action="store_true", help="check, say what would be done, and write nothing")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="the repository (default: this one)")
    parser.add_argument(
        "--run-checks", action="store_true", help="run .ci/run first (default: say that it has to pass)"
    )
    parser.add_argument("--packages", type=Path, metavar="DIR", help="take wheel and sdist from there; build none")
    options = parser.parse_args()
    try:
        day = date.today().isoformat()
        check_repository(options.root, options.version, day)
        texts = stated(options.root, options.version, day)
        if options.run_checks:
            _run_checks(options.root)
        else:
            print("not run: .ci/run, which has to pass on this commit (--run-checks)")
        if options.dry_run:
            print(f"would write {', '.join(texts)}, check wheel and sdist, commit, and tag v{options.version}")
        else:
            release(options.root, options.version, texts, options.packages)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


def release(root: Path, version: str, texts: Mapping[str, str], packages: Path | None) -> None:
    """Make a release of a repository that has been checked.

    Args:
        root: the repository.
        version: of the release, as ``X.Y.Z``.
        texts: the files that state it, from `stated`.
        packages: folder with its wheel and sdist; None to build them.

    Raises:
        UserError: if a step fails; the files are then as they were before, unless only the tag failed.
    """
    before = {name: (root / name).read_text(encoding="utf-8") for name in texts}
    start = _git(root, "rev-parse", "HEAD")
    try:
        for name, text in texts.items():
            write_text(root / name, text)
        files = _packed(root, version, packages)
        if _git(root, "status", "--porcelain", "--", *texts):
            _git(root, "commit", "--quiet", "-m", f"Version {version}", "--", *texts)
        _git(root, "tag", "-a", f"v{version}", "-m", f"Version {version}")
    except BaseException:
        if _git(root, "rev-parse", "HEAD") == start:
            for name, text in before.items():
                write_text(root / name, text)
        raise
    print(f"tagged v{version}; to publish it:")
    print(f"git push origin {_BRANCH} v{version}")
    print(f"python -m twine upload {' '.join(files)}")


def check_repository(root: Path, version: str, day: str) -> None:
    """Refuse a release that the repository is not ready for.

    Raises:
        UserError: with the first reason.
    """
    if not _VERSION.fullmatch(version):
        raise UserError(f"{version}: a version is three numbers, such as 0.3.0")
    if changes := _git(root, "status", "--porcelain"):
        raise UserError(f"not clean: commit or remove {listed([line[3:] for line in changes.splitlines()])}")
    branch = _git(root, "branch", "--show-current")
    if branch != _BRANCH:
        raise UserError(f"on {branch or 'no branch'}: a release is made on {_BRANCH}: git switch {_BRANCH}")
    if _git(root, "tag", "--list", f"v{version}"):
        raise UserError(f"v{version}: this tag exists: choose another version")
    tags = _git(root, "tag", "--list", "v*").split()
    versions = [tag.removeprefix("v") for tag in tags if _VERSION.fullmatch(tag.removeprefix("v"))]
    newest = max(versions, key=_numbers, default=None)
    if newest and _numbers(version) < _numbers(newest):
        raise UserError(f"{version}: is below {newest}, which is tagged: choose a later version")
    headings = re.findall(r"^## .*$", (root / _CHANGELOG).read_text(encoding="utf-8"), re.MULTILINE)
    needed = f"## [{version}] - {day}"
    if headings[:1] != [needed]:
        first = headings[0] if headings else "missing"
        raise UserError(f"{_CHANGELOG}: its first section is {first}: it has to be {needed}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def stated(root: Path, version: str, day: str) -> dict[str, str]:
    """The files that state the version, by name, as they have to be.

    Raises:
        UserError: for a file without the line that states it.
    """
    texts: dict[str, str] = {}
    for name, line, new in (
        (_VERSION_FILE, r'^__version__ = ".*"$', f'__version__ = "{version}"'),
        (_CITATION, r"^version: .*$", f"version: {version}"),
        (_CITATION, r"^date-released: .*$", f'date-released: "{day}"'),
    ):
        text = texts.get(name) or (root / name).read_text(encoding="utf-8")
        texts[name], count = re.subn(line, new, text, flags=re.MULTILINE)
        if count != 1:
            raise UserError(f"{name}: has {count} lines that match {line}: one is needed")
    return texts


def _run_checks(root: Path) -> None:
    if subprocess.run([str(root / ".ci" / "run")], cwd=root, check=False).returncode:
        raise UserError(".ci/run: fails: see above")


def _packed(root: Path, version: str, packages: Path | None) -> list[str]:
    """Build wheel and sdist, unless there are any, check them, and copy them to ``dist/``; returns the files."""
    with tempfile.TemporaryDirectory(prefix="sr_release_") as folder:
        if packages is None:
            build_packages(root, Path(folder))
        checked = check_packages(root, packages or Path(folder), version)
        (root / "dist").mkdir(exist_ok=True)
        return [Path(shutil.copy2(package, root / "dist")).relative_to(root).as_posix() for package in checked]


def build_packages(root: Path, folder: Path) -> None:
    """Build an sdist, and a wheel from it, by PyPA's ``build`` in an environment of its own.

    Raises:
        UserError: with the last line of what fails.
    """
    with tempfile.TemporaryDirectory(prefix="sr_build_") as environment:
        _run(root, sys.executable, "-m", "venv", environment)
        python = str(Path(environment) / ("Scripts" if os.name == "nt" else "bin") / "python")
        _run(root, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "build")
        _run(root, python, "-m", "build", "--outdir", str(folder), ".")


def check_packages(root: Path, folder: Path, version: str) -> list[Path]:
    """Check that a wheel and an sdist of a version hold what they need.

    Returns:
        The two files.

    Raises:
        UserError: for one that is missing, or lacks files.
    """
    packages = []
    for kind, pattern in (("wheel", f"*-{version}-*.whl"), ("sdist", f"*-{version}.tar.gz")):
        found = sorted(folder.glob(pattern))
        if len(found) != 1:
            raise UserError(f"{kind}: {len(found)} files were built that match {pattern}: one is needed")
        packages += found
    wheel, sdist = packages
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
        stated_in_wheel = archive.read(_VERSION_IN_WHEEL).decode() if _VERSION_IN_WHEEL in in_wheel else ""
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    tracked = _git(root, "ls-files").splitlines()
    moved = [(f"{source}/", f"{place}/") for source, place in _IN_WHEEL.items()]
    needed = [
        place + path.removeprefix(source) for path in tracked for source, place in moved if path.startswith(source)
    ]
    for package, names, contents in (
        (wheel, needed, in_wheel),
        (sdist, [path for path in tracked if path.partition("/")[0] in _IN_SDIST], in_sdist),
    ):
        missing = [name for name in names if name not in contents]
        if missing or not names:
            raise UserError(
                f"{package.name}: lacks {listed(missing) or 'every file'}: see [tool.hatch] in pyproject.toml"
            )
    if stated_in_wheel != (root / _VERSION_FILE).read_text(encoding="utf-8"):
        raise UserError(f"{wheel.name}: its {_VERSION_IN_WHEEL} is not that of {version}: build it again")
    return packages


def _git(root: Path, *words: str) -> str:
    return _run(root, "git", *words)


def _run(root: Path, *command: str) -> str:
    """Run a command; returns its output, without spaces at the end.

    Raises:
        UserError: if it cannot be run, or fails.
    """
    try:
        completed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"{command[0]}: cannot be run ({line_of(error)})") from error
    if completed.returncode:
        reason = (completed.stderr.strip() or completed.stdout.strip() or "no message").splitlines()[-1]
        raise UserError(f"{' '.join(command[:4])}: exit code {completed.returncode}: {reason}")
    return completed.stdout.rstrip()


if __name__ == "__main__":
    main()
