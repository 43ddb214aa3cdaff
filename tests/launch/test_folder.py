"""What is left, and what is not touched, where a run is refused."""

import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from sr.io.locks import hold
from sr.io.run_folder import RunFolder
from sr.launch.folder import expand_home, remove_untouched_folder
from tests.support.runs import Command, MakeFolder


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of Hydra that is called ``train``."""
    known = {"hydra": {"job": {"name": "train"}, "output_subdir": ".hydra"}}
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create(known))


def begun(folder: Path, *others: str) -> Path:
    """A folder as Hydra leaves it when a job begins, with other files."""
    for name in (".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", "train.log", ".lock", *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("multirun", [[], ["-m", "model=espcn"]])
def test_a_default_folder_that_cannot_be_written_to_is_named_in_one_line(tmp_path: Path, multirun: list[str]) -> None:
    (tmp_path / "runs").write_text("a file where the folder of all runs should be")
    command = [sys.executable, "-m", "sr.train", *multirun, "debug=tiny"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    lines = (ended.stdout + ended.stderr).strip().splitlines()
    assert ended.returncode == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: runs/")
    assert "cannot be written to" in lines[0]
    assert lines[0].endswith(f"name another with hydra.{'sweep' if multirun else 'run'}.dir=DIR")


@pytest.mark.usefixtures("job")
def test_a_folder_that_only_hydra_wrote_into_goes(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run", "fold_0/.lock")
    (folder / "checkpoints").mkdir()
    remove_untouched_folder(folder)
    assert not folder.exists()
    remove_untouched_folder(folder)  # and a folder that is not there is no fault


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    "other",
    [
        "result.json",
        "checkpoints/last.ckpt",
        "metrics.csv",
        "notes.txt",
        "fold_0/result.json",
        "other.log",
        "a/train.log",
    ],
)
def test_a_folder_with_anything_else_stays(tmp_path: Path, other: str) -> None:
    folder = begun(tmp_path / "run", other)
    before = contents(folder)
    remove_untouched_folder(folder)
    assert contents(folder) == before


@pytest.mark.usefixtures("job")
def test_a_folder_that_another_process_holds_stays(tmp_path: Path) -> None:
    folder = begun(tmp_path / "run")
    with hold(RunFolder(folder).lock):
        remove_untouched_folder(folder)
    assert (folder / ".hydra" / "config.yaml").is_file()


@pytest.mark.parametrize(
    "wrong", [["optimizer.lr=abc"], ["data=isr", "data.root=/nowhere"], ["+foo=1"], ["data=isr", "data.root=null"]]
)
def test_an_earlier_run_stays_as_it_is_byte_for_byte(command: Command, tmp_path: Path, wrong: list[str]) -> None:
    folder = begun(tmp_path / "run", "result.json", "checkpoints/best.ckpt")
    before = contents(folder)
    code, text = command(*wrong)
    assert code == 2, text
    assert contents(folder) == before


@pytest.mark.parametrize("refused", ["optimizer.lr=abc,1e-3", "data.patch=3000,32"])
def test_a_refused_cell_of_a_sweep_costs_itself_alone_and_leaves_no_folder(
    command: Command, make_folder: MakeFolder, tmp_path: Path, refused: str
) -> None:
    code, text = command(
        "hydra.mode=MULTIRUN", refused, "data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1",
        "logger=none", f"hydra.sweep.dir={tmp_path / 'sweep'}", "hydra.sweep.subdir=${hydra:job.num}",
    )  # fmt: skip
    assert code == 1, text
    assert f"error: {refused.partition('=')[0]}=" in text
    assert "1 done" in text
    assert "1 refused, see above" in text
    assert {path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir()} == {"1"}


def test_home_is_put_in_place_of_a_tilde_that_begins_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for override, expected in {
        "data.root=~/photos": "data.root=/home/me/photos",
        "data.root=~": "data.root=/home/me",
        "data.root=[~/a,~/b]": "data.root=[/home/me/a,/home/me/b]",
        "++hydra.run.dir=~/runs/a~b": "++hydra.run.dir=/home/me/runs/a~b",
        "~callbacks.search": "~callbacks.search",
        "data.root=/a/~b/c~": "data.root=/a/~b/c~",
        "data.root=~other/photos": "data.root=~other/photos",
    }.items():
        assert expand_home(override) == expected


@pytest.mark.parametrize("quote", ["", '"'])
def test_the_home_folder_is_found_by_its_tilde(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    make_folder(count=6, name="photos")
    monkeypatch.setenv("HOME", str(tmp_path))
    code, text = command("data=isr", f"data.root={quote}~/photos{quote}", "data.patch=3000")
    assert (code, "data.patch=3000 is larger than" in text) == (2, True), text
    code, text = command("data=isr", f"data.root={quote}~/nowhere{quote}")
    assert (code, text) == (2, f"error: {tmp_path}/nowhere: no such folder (data.root)\n")
