from pathlib import Path

import pytest

from sr.cli import main
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


def test_an_unknown_command_lists_the_existing_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["enlarge"])
    assert end.value.code == 2
    assert "'status'" in capsys.readouterr().err
