import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from sr.errors import UserError
from sr.race import launch
from sr.race.jobs import Job, next_jobs
from tests.support.run_folders import RunFolders

COMMAND = "python -m sr.train model=vdsr 'data.root=/a b' seeds=2 name=n hydra.mode=RUN retrain=true"
PLACES: list[tuple[str, list[str]]] = [("a", ["file:///v1"]), ("b", ["file:///v2"]), ("c", ["file:///v1"]), ("d", [])]


def test_a_seed_of_a_cell_goes_into_its_folder_one_that_was_begun_first(tmp_path: Path) -> None:
    write = RunFolders(tmp_path)
    cell = write("vdsr_mse_adam", [1.0], folds=None, command=COMMAND)
    first, _ = (write(f"a_b_{seed}", [1.0], folds=None).rename(cell / f"seed_{seed}") for seed in (23, 24))
    (job,) = next_jobs([first], [23, 24])
    assert (job.training, job.cell) == (cell / "seed_25", cell)
    assert job.overrides == ["model=vdsr", "data.root=/a b", "seeds=[23,24,25]"]
    (job,) = next_jobs([first], [23])
    assert job.training == cell / "seed_24"
    assert job.overrides[-1] == "seeds=[23,24]"


def test_a_seed_of_single_runs_goes_beside_them(tmp_path: Path) -> None:
    write = RunFolders(tmp_path)
    folders = [
        write(
            f"vdsr_mse_adam_{fold}_seed1",
            [1.0],
            folds=None,
            seed=1,
            command=f"python -m sr.train seed=1 data.fold={fold}",
        )
        for fold in (0, 1)
    ]
    jobs = next_jobs(folders, [1, 2])
    assert [job.training for job in jobs] == [tmp_path / "vdsr_mse_adam_0_seed3", tmp_path / "vdsr_mse_adam_1_seed3"]
    assert [job.overrides for job in jobs] == [["data.fold=0", "seed=3"], ["data.fold=1", "seed=3"]]
    assert all(job.cell == job.training for job in jobs)


def test_a_run_without_a_command_is_refused(tmp_path: Path) -> None:
    folder = RunFolders(tmp_path)("a_mse_adam", [1.0], folds=None, command=None)
    with pytest.raises(UserError, match="no command that trains it again"):
        next_jobs([folder], [23])


def test_configs_of_the_user_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = "python -m sr.train 'hydra.searchpath=[pkg://mynets.conf]' --config-dir=myconf model=tiny seed=1"
    (job,) = next_jobs([RunFolders(tmp_path)("tiny_mse_adam", [1.0], folds=None, seed=1, command=line)], [1])
    assert job.overrides == ["model=tiny", "seed=2"]
    assert job.configs == ["pkg://mynets.conf", f"file://{tmp_path / 'myconf'}"]


def test_configs_of_one_name_in_two_folders_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def start(words: list[str]) -> SimpleNamespace:
        (file,) = (word for word in words if word.startswith("hydra.sweeper.file="))
        jobs = json.loads(Path(file.partition("=")[2].strip("'")).read_text())
        started.append(([word for word in words if word.startswith("hydra.searchpath=")], [job[0] for job in jobs]))
        return SimpleNamespace(wait=lambda: len(started) - 1)

    monkeypatch.setattr(launch, "start", start)
    jobs = [Job(tmp_path / name, tmp_path / name, [f"model={name}"], place) for name, place in PLACES]
    assert launch.train(jobs, tmp_path, []) == 2
    assert started == [
        (["hydra.searchpath=['file:///v1']"], ["model=a", "model=c"]),
        (["hydra.searchpath=['file:///v2']"], ["model=b"]),
        ([], ["model=d"]),
    ]
