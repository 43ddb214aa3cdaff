"""The functions that programs and notebooks import; `tests/examples/test_notebooks.py` runs notebooks with them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sr
from sr.errors import DivergedError, UserError
from sr.runs.schema import RunResult, Status
from tests.support.images import photograph
from tests.support.runs import SMALL, MakeFolder

SHORT = [*SMALL, "scale=2", "model.channels=8", "trainer.max_epochs=1", "logger=csv"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        photograph(48, 64, seed=number).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def test_importing_sr_imports_neither_torch_nor_hydra() -> None:
    code = "import sys, sr; print(sorted({'torch', 'hydra', 'numpy', 'lightning'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_table_of_scores_is_a_sequence_of_rows_that_prints_itself(photos: Path) -> None:
    table = sr.evaluate("espcn_x2", data=photos, baselines=True)
    assert [row.name for row in table] == ["bicubic", "nearest", "lanczos", "espcn_x2"]
    assert len(table[:2]) == 2
    assert str(table).splitlines()[4].split()[:4] == ["espcn_x2", "photos", "x2", "y"]
    assert repr(table) == str(table)


def test_a_table_of_scores_becomes_a_data_frame(photos: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    table = sr.evaluate(["espcn_x2"], data=[photos], scale=2, protocol="rgb")
    frame, images = table.to_pandas(), table.images_to_pandas()
    assert list(frame["psnr"]) == [row.psnr for row in table]
    assert list(images.groupby("model")["psnr"].mean().round(9)) == [round(row.psnr, 9) for row in table]


def test_a_data_frame_without_pandas_is_refused_in_one_line(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        sr.evaluate([], data=photos, scale=2).to_pandas()


def test_scoring_is_quiet_unless_progress_is_wanted(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sr.evaluate("espcn_x2", data=photos)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("models", "options", "line"),
    [
        ("espcn_x5", {}, "espcn_x5: no such checkpoint"),
        (["espcn_x2", "espcn_x3"], {}, "the models enlarge by 2 and 3"),
        ([], {}, "a scale is needed"),
        (["espcn_x2", "photos"], {}, "photos: "),
        ("espcn_x2", {"protocol": "z"}, "--protocol must be one of"),
    ],
)
def test_what_cannot_be_scored_is_refused_and_nothing_is_skipped(
    photos: Path, monkeypatch: pytest.MonkeyPatch, models: Any, options: dict[str, Any], line: str
) -> None:
    monkeypatch.chdir(photos.parent)
    with pytest.raises(UserError, match=line):
        sr.evaluate(models, data=photos, **options)


def test_a_record_shows_what_was_reached_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = RunResult(Status.DONE, {"run_dir": str(tmp_path / "runs" / "first")})
    assert repr(result) == f"RunResult(done, {Path('runs', 'first')})"
    assert result.folder == tmp_path / "runs" / "first"


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ("scale=2", r"fit\(\['scale=2'\]\)"),
        (["-m", "loss=mse,mae"], "leave out -m"),
        (["--multirun"], "leave out --mu"),
    ],
)
def test_what_is_no_single_configuration_is_refused(overrides: Any, line: str) -> None:
    with pytest.raises(UserError, match=line):
        sr.fit(overrides)


@pytest.mark.slow
def test_a_result_is_a_model_and_can_be_scored_and_compared(
    make_folder: MakeFolder,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["data=folder", f"data.root={make_folder()}"]
    results = [sr.fit([*SHORT, *data, f"loss={loss}", "seeds=2", f"name={loss}"]) for loss in ("mse", "mae")]
    printed = capfd.readouterr().out.splitlines()
    assert [line for line in printed if not line.startswith("WARNING: this model does not beat its input")] == []
    assert [result.folder for result in results] == [tmp_path / "runs" / "mse", tmp_path / "runs" / "mae"]
    assert [result.status for result in results] == [Status.DONE, Status.DONE]
    assert sr.load(results[0])(photograph(10, 12)).size == (24, 20)
    table = sr.evaluate(results, data=photos)
    assert [row.name for row in table] == ["bicubic", "runs/mse", "runs/mae"]
    board, of_set = sr.compare(*results)
    assert {board.analysis.names[0], board.analysis.names[1]} == {"mse", "mae"}
    assert of_set.comparison.label == "photos"
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])  # Python ignores what is no text
    again = sr.fit([*SHORT, *data, "loss=mse", "seeds=2", "name=mse"], progress=True)
    assert sr.fit([*SHORT, *data, "loss=mse", "seeds=2", "name=mse", "hydra.job_logging.root.level=ERROR"]).is_done
    assert again.started == results[0].started
    assert "done before, nothing to train" in capfd.readouterr().out


@pytest.mark.slow
def test_faults_of_a_training_are_raised_here(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["data=folder", f"data.root={make_folder()}"]
    with pytest.raises(UserError, match=r"model=espnc: no such choice.*did you mean espcn"):
        sr.fit(["model=espnc"])
    with pytest.raises(DivergedError, match="is not finite"):
        sr.fit([*SHORT, *data, "optimizer=sgd", "optimizer.lr=1e30", "trainer.max_epochs=9"])
    (tmp_path / "mine.py").write_text("def broken(root, on_bad_file='error'):\n    raise KeyError('a fault of mine')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match=r"(?s)exit code 1:.*a fault of mine"):
        sr.fit([*SHORT, "data=folder", "data.root=x", "data.find._target_=mine.broken"])


@pytest.mark.slow
def test_an_interrupt_reaches_the_training_and_the_same_call_resumes_it(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = [*SHORT, "data=folder", f"data.root={make_folder()}", "trainer.max_epochs=400", "name=long"]
    table = tmp_path / "runs" / "long" / "metrics.csv"
    threading.Thread(target=_when, args=(table.exists, lambda: os.kill(os.getpid(), signal.SIGINT))).start()
    with pytest.raises(KeyboardInterrupt):
        sr.fit(overrides)
    assert (tmp_path / "runs" / "long" / "checkpoints" / "last.ckpt").is_file()
    result = sr.fit([*overrides, "trainer.max_epochs=401"])
    assert result.status is Status.DONE
    assert result.epochs == 401


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the system has no signal for the end of a parent")
def test_a_training_ends_with_the_program_that_started_it(make_folder: MakeFolder, tmp_path: Path) -> None:
    overrides = [*SHORT, "data=folder", f"data.root={make_folder()}", "trainer.max_epochs=4000", "name=long"]
    program = subprocess.Popen([sys.executable, "-c", f"import sr; sr.fit({overrides!r})"], cwd=tmp_path)
    table, record = (tmp_path / "runs" / "long" / name for name in ("metrics.csv", "result.json"))
    _when(table.exists, program.kill)
    _when(lambda: '"interrupted"' in record.read_text(), lambda: None)
    assert '"interrupted"' in record.read_text()
    assert program.wait() == -signal.SIGKILL


def _when(condition: Callable[[], bool], action: Callable[[], None]) -> None:
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    action()
