import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sr
from sr.cli import main, make_parser
from tests.support.runs import MakeFolder, result_of


@pytest.mark.slow
def test_sr_train_is_the_training_command(
    make_folder: MakeFolder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=6)}", "debug=tiny", "trainer.accelerator=cpu"]
    main(["train", *settings, f"hydra.run.dir={tmp_path / 'run'}"])
    assert result_of(tmp_path / "run")["status"] == "done"
    assert f"run folder: {tmp_path / 'run'}" in capfd.readouterr().out


def test_status_of_a_folder_without_runs_is_a_one_line_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["status", str(tmp_path)])
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        captured.err == f"error: {tmp_path}: no runs in it: name the folder of a run or of a sweep (hydra.sweep.dir)\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predct"], "predct: no such command; did you mean predict? (see sr --help)"),
        (["--versoin"], "--versoin: no such option; did you mean --version? (see sr --help)"),
        (
            ["predict", "--modle=x"],
            "--modle: no such option; did you mean --model, --order or --codec? (see sr predict --help)",
        ),
        (["models", "--unlike"], "--unlike: no such option (see sr models --help)"),
    ],
)
def test_a_wrong_name_is_answered_with_close_ones(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_command_like_no_other_lists_the_existing_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["xyz"])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: xyz: no such command: choose from train, runs, status,")


def test_an_option_may_be_shortened_and_follow_a_separator(capsys: pytest.CaptureFixture[str]) -> None:
    options = make_parser().parse_args(["predict", "--mod", "m", "-o", "out", "--", "--odd-name.png"])
    assert (options.model, options.inputs) == ("m", ["--odd-name.png"])


def test_sr_alone_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    text = capsys.readouterr().out
    assert text.startswith("usage: sr ")
    assert "register-python-argcomplete sr" in text


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert (end.value.code, capsys.readouterr().out) == (0, f"sr {sr.__version__}\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sr pre", {"predict "}),
        ("sr predict --ti", {"--tile "}),
        ("sr predict a.png -m espcn_x", {"espcn_x2", "espcn_x3", "espcn_x4"}),
        ("sr train loss=m", {"loss=mae", "loss=ms_ssim", "loss=mse"}),
        ("sr train vgg_", {"vgg_weights="}),
    ],
)
def test_the_shell_completes_commands_options_and_names(line: str, expected: set[str], tmp_path: Path) -> None:
    program = f"{shlex.quote(sys.executable)} -c 'from sr.cli import main; main()'"
    variables = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "|", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    completed = subprocess.run(
        ["sh", "-c", f"{program} 8>&1 9>&2 >/dev/null 2>&1"],
        env={**os.environ, **variables, "COMP_TYPE": "9", "_ARGCOMPLETE_COMP_WORDBREAKS": " "},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(completed.stdout.split("|")) == expected


def test_output_that_nobody_reads_any_more_ends_the_command_without_a_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from sr.cli import main; main(['models'])"]
    completed = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert completed.returncode == 128 + signal.SIGPIPE
    assert completed.stderr == ""
