"""What a refused run leaves behind and what it leaves untouched."""

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
    """A Hydra job named ``train``."""
    hydra_config = {"hydra": {"job": {"name": "train"}, "output_subdir": ".hydra"}}
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create(hydra_config))


def start_job_in(folder: Path, *others: str) -> Path:
    """Write the files that Hydra writes at the start of a job, and others, to a folder."""
    for name in (".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", "train.log", ".lock", *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("multirun", [[], ["-m", "model=espcn"]])
def test_an_unwritable_default_folder_is_named_in_one_line(tmp_path: Path, multirun: list[str]) -> None:
    (tmp_path / "runs").write_text("a file in place of the folder of all runs")
    command = [sys.executable, "-m", "sr.train", *multirun, "debug=tiny"]
    completed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    lines = (completed.stdout + completed.stderr).strip().splitlines()
    assert completed.returncode == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: runs/")
    assert "cannot be written to" in lines[0]
    assert lines[0].endswith(f"choose another with hydra.{'sweep' if multirun else 'run'}.dir=DIR")


@pytest.mark.usefixtures("job")
def test_a_folder_with_only_hydras_files_is_removed(tmp_path: Path) -> None:
    folder = start_job_in(tmp_path / "run", "fold_0/.lock")
    (folder / "checkpoints").mkdir()
    remove_untouched_folder(folder)
    assert not folder.exists()
    remove_untouched_folder(folder)  # a missing folder is no error


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
def test_a_folder_with_any_other_file_is_kept(tmp_path: Path, other: str) -> None:
    folder = start_job_in(tmp_path / "run", other)
    before = contents(folder)
    remove_untouched_folder(folder)
    assert contents(folder) == before


@pytest.mark.usefixtures("job")
def test_a_folder_locked_by_another_process_is_kept(tmp_path: Path) -> None:
    folder = start_job_in(tmp_path / "run")
    with hold(RunFolder(folder).lock):
        remove_untouched_folder(folder)
    assert (folder / ".hydra" / "config.yaml").is_file()


@pytest.mark.parametrize(
    "overrides", [["optimizer.lr=abc"], ["data=isr", "data.root=/nowhere"], ["+foo=1"], ["data=isr", "data.root=null"]]
)
def test_a_refused_run_leaves_the_earlier_run_unchanged(command: Command, tmp_path: Path, overrides: list[str]) -> None:
    folder = start_job_in(tmp_path / "run", "result.json", "checkpoints/best.ckpt")
    before = contents(folder)
    code, text = command(*overrides)
    assert code == 2, text
    assert contents(folder) == before


@pytest.mark.parametrize("override", ["optimizer.lr=abc,1e-3", "data.patch=3000,32"])
def test_a_refused_cell_of_a_sweep_affects_no_other_cell_and_leaves_no_folder(
    command: Command, make_folder: MakeFolder, tmp_path: Path, override: str
) -> None:
    code, text = command(
        "hydra.mode=MULTIRUN", override, "data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1",
        "logger=none", f"hydra.sweep.dir={tmp_path / 'sweep'}", "hydra.sweep.subdir=${hydra:job.num}",
    )  # fmt: skip
    assert code == 1, text
    assert f"error: {override.partition('=')[0]}=" in text
    assert "1 done" in text
    assert "1 refused, see above" in text
    assert {path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir()} == {"1"}


def test_a_tilde_at_the_start_of_a_value_expands_to_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for argument, expected in {
        "data.root=~/photos": "data.root=/home/me/photos",
        "data.root=~": "data.root=/home/me",
        "data.root=[~/a,~/b]": "data.root=[/home/me/a,/home/me/b]",
        "++hydra.run.dir=~/runs/a~b": "++hydra.run.dir=/home/me/runs/a~b",
        "~callbacks.search": "~callbacks.search",
        "data.root=/a/~b/c~": "data.root=/a/~b/c~",
        "data.root=~other/photos": "data.root=~other/photos",
    }.items():
        assert expand_home(argument) == expected


@pytest.mark.parametrize("quote", ["", '"'])
def test_data_root_may_start_with_a_tilde(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quote: str
) -> None:
    make_folder(count=6, name="photos")
    monkeypatch.setenv("HOME", str(tmp_path))
    code, text = command("data=isr", f"data.root={quote}~/photos{quote}", "data.patch=3000")
    assert (code, "data.patch=3000 is larger than" in text) == (2, True), text
    code, text = command("data=isr", f"data.root={quote}~/nowhere{quote}")
    assert (code, text) == (2, f"error: {tmp_path}/nowhere: no such folder (data.root)\n")


def test_bad_files_that_are_skipped_do_not_stop_the_command_and_are_named_once(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=10, low_scale=2)
    (root / "low_res" / "9.png").unlink()
    settings = ("data=isr", f"data.root={root}", "scale=2", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path / 'run'}")
    code, text = command(*settings)
    assert code == 2, text
    assert "9.png: has no partner of that name in low_res/" in text
    code, text = command(*settings, "data.on_bad_file=skip")
    assert code == 0, text
    assert text.count("9.png: has no partner of that name in low_res/") == 1
