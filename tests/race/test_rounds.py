import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sr.cli import main
from sr.io.locks import hold
from tests.support.kills import make_images
from tests.support.run_folders import RunFolders, config
from tests.support.runs import SMALL, result_of


def write(write_run: RunFolders, name: str, mean: float, seeds: int, spread: float = 0.01) -> None:
    for seed in range(seeds):
        gains = [mean + spread * seed + 0.01 * number for number in range(12)]
        write_run(f"{name}_seed{seed}", gains, folds=None, seed=seed, seconds=60.0, command="python -m sr.train")


def test_it_says_what_it_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = RunFolders(tmp_path)
    write(folders, "vdsr_mse_adam", 1.0, 3)
    write(folders, "espcn_mse_adam", 0.5, 2)
    main(["decide", str(tmp_path), "--budget", "2h", "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["next: one more seed of espcn (about 1 min)", "budget: 2 h, of which 0 s spent"]
    assert not (tmp_path / "decide.json").exists()


def test_what_is_decided_ends_with_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = RunFolders(tmp_path)
    write(folders, "vdsr_mse_adam", 2.0, 3)
    write(folders, "espcn_mse_adam", 0.5, 3)
    main(["decide", str(tmp_path)])
    output = capsys.readouterr().out
    assert output.startswith(
        "1 of 2 configurations may be the best: vdsr\nworse, and left alone: espcn\nall is decided\n"
    )
    assert (tmp_path / "report.html").is_file()


def test_a_budget_below_the_next_training_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = RunFolders(tmp_path)
    write(folders, "vdsr_mse_adam", 1.0, 2)
    write(folders, "espcn_mse_adam", 0.5, 2)
    with pytest.raises(SystemExit) as end:
        main(["decide", str(tmp_path), "--budget", "59s"])
    assert end.value.code == 1
    assert "59 s will not pay for the next training" in capsys.readouterr().out


def test_a_configuration_that_cannot_be_trained_again_leaves_it_undecided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = RunFolders(tmp_path)
    write(folders, "vdsr_mse_adam", 2.0, 3)
    write(folders, "espcn_mse_adam", 0.5, 1)
    monkeypatch.setattr("sr.race.rounds.train", lambda *arguments: 3)
    with pytest.raises(SystemExit) as end:
        main(["decide", str(tmp_path)])
    assert end.value.code == 1
    output = capsys.readouterr().out
    assert "too few trainings for a verdict, and no more can be had: espcn\n" in output
    assert "all is decided" not in output


@pytest.mark.parametrize(
    ("budget", "cost"), [("2", "2 trainings"), ("1h", "2 min"), ("1e9ma", "6.00 k multiply-adds")], ids=str
)
def test_folds_that_are_runs_of_their_own_are_paid_for_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], budget: str, cost: str
) -> None:
    folders = RunFolders(tmp_path)
    for name, mean, seeds in (("vdsr_mse_adam", 2.0, 3), ("espcn_mse_adam", 1.5, 2)):
        for seed in range(seeds):
            for fold in range(2):
                gains = [mean + 0.01 * (seed + number) for number in range(6)]
                folders(
                    f"{name}_{seed}_{fold}",
                    gains,
                    names="abcdefghijkl"[6 * fold :],
                    folds=None,
                    seed=seed,
                    seconds=60.0,
                    command=f"python -m sr.train data.fold={fold}",
                    config=config(fold, seed, patch=256),
                    multiply_adds=100,
                    images_seen=10,
                )
    main(["decide", str(tmp_path), "--budget", budget, "--dry-run"])
    assert f"next: one more seed of espcn (about {cost})" in capsys.readouterr().out


def test_a_folder_of_other_programs_alone_has_nothing_to_decide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "upscayl").mkdir()
    (tmp_path / "upscayl" / "contender.json").write_text('{"name": "upscayl", "outputs": "here"}')
    reasons = {
        "decide": f"{tmp_path}: holds no finished run: there is nothing to decide",
        "report": f"{tmp_path / 'upscayl'}: other programs without scores: run sr evaluate again",
    }
    for command, reason in reasons.items():
        with pytest.raises(SystemExit) as end:
            main([command, str(tmp_path)])
        assert end.value.code == 2
        assert reason in capsys.readouterr().err
    write(RunFolders(tmp_path), "vdsr_mse_adam", 1.0, 2)
    main(["report", str(tmp_path)])  # of the runs alone
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "soon"], "--budget must be a time"),
        (["--most", "1"], "--most must be 2 or more"),
        (["--hydra", "optimizer.lr=1"], "must be an option of Hydra"),
        ([], "there is nothing to decide"),
    ],
)
def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    write(RunFolders(tmp_path), "vdsr_mse_adam", 1.0, 2)
    with pytest.raises(SystemExit) as end:
        main(["decide", str(tmp_path), *options])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_one_process_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = RunFolders(tmp_path)
    write(folders, "vdsr_mse_adam", 1.0, 2)
    write(folders, "espcn_mse_adam", 0.5, 2)
    with hold(tmp_path / ".decide.lock"), pytest.raises(SystemExit) as end:
        main(["decide", str(tmp_path)])
    assert end.value.code == 2
    assert "another sr decide works here" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_it_resumes_what_a_signal_interrupted(tmp_path: Path, number: signal.Signals, code: int) -> None:
    folder, root = tmp_path / "sweep", make_images(tmp_path / "images", 20)
    options = [*SMALL, "data=isr", f"data.root={root}", f"data.cache_dir={tmp_path / 'cache'}", "data.val_share=0.4"]
    options += ["seeds=2", "optimizer=adam,sgd", "trainer.max_epochs=16", "logger=none", f"hydra.sweep.dir={folder}"]
    subprocess.run([sys.executable, "-m", "sr.train", "-m", *options], check=True, cwd=tmp_path, capture_output=True)
    start = "from sr.cli import main; main()"
    command = [sys.executable, "-c", start, "decide", str(folder), "--budget", "2", "--most", "3"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (begun := list(folder.glob("*/seed_25/checkpoints/last.ckpt"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, number)
    assert process.wait(60) == code
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert again.returncode in (0, 1), again.stderr
    assert f"resuming from {begun[0]}" in again.stdout + again.stderr
    names = ["espcn_mse_adam/seed_25", "espcn_mse_sgd/seed_25"]
    assert sorted(json.loads((folder / "decide.json").read_text())["trainings"]) == names
    assert all(result_of(folder / name)["status"] == "done" for name in names)
    assert (folder / "report.html").is_file()
