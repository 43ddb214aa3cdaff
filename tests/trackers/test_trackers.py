import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from torch import Tensor

from sr.errors import DivergedError, PrunedError, UserError
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table, write_table
from sr.runs.announce import described_in_trackers, log_final_scores
from sr.runs.schema import RunResult, Status
from sr.trackers.common import Ending, keep_id, known_id, need

COMMAND = (
    *(sys.executable, "-m", "sr.train", "debug=tiny", "logger=[mlflow,trackio,wandb]"),
    *("trainer.max_epochs=6", "hydra.run.dir=run"),
)


def train(folder: Path, *overrides: str, kill_after_epoch: int | None = None) -> None:
    """Train in a folder, to the end or until an epoch is in the table."""
    environment = {**os.environ, "TRACKIO_DIR": str(folder / "trackio"), "WANDB_SILENT": "true"}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [*COMMAND, *overrides], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        table = RunFolder(folder / "run").metrics
        while kill_after_epoch and process.poll() is None:
            if table.is_file() and len(read_table(table)) >= kill_after_epoch:
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.02)
        code = process.wait()
    assert code == (-signal.SIGKILL if kill_after_epoch else 0), (folder / "log").read_text()


def metrics_of(run: Path) -> dict[int, float]:
    """PSNR by the step under which loggers know a validation."""
    return {int(row["step"]) - 1: float(row["val/psnr"]) for row in read_table(RunFolder(run).metrics)}


@pytest.mark.slow
def test_every_tracker_holds_curves_pictures_options_and_scores_of_a_run_that_was_killed_and_resumed(
    tmp_path: Path,
) -> None:
    for package in ("mlflow", "trackio", "wandb"):
        pytest.importorskip(package)
    train(tmp_path, kill_after_epoch=2)
    train(tmp_path)
    ids = json.loads(RunFolder(tmp_path / "run").trackers.read_text())
    curve = metrics_of(tmp_path / "run")
    final = json.loads((tmp_path / "run" / "result.json").read_text())["scores"]["val"]["psnr"]["mean"]
    check_mlflow(tmp_path, ids["mlflow"], curve, final)
    check_trackio(tmp_path, ids["trackio"], curve, final)
    check_wandb(tmp_path, ids["wandb"], curve, final)


@pytest.mark.slow
def test_a_tracker_that_cannot_be_reached_costs_no_finished_run(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    command = [sys.executable, "-m", "sr.train", "debug=tiny", "hydra.run.dir=run"]
    subprocess.run([*command, "logger=none"], cwd=tmp_path, check=True, capture_output=True)
    before = {path: path.read_bytes() for path in (tmp_path / "run" / "checkpoints").iterdir()}
    again = subprocess.run(
        [*command, "retrain=true", "logger=mlflow", "logger.mlflow.tracking_uri=http://127.0.0.1:9"],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 2
    assert "error: logger: MLflow cannot be used (" in again.stdout + again.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "run" / "checkpoints").iterdir()} == before
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "done"


class Failing:
    """A tracker that cannot be closed."""

    label = "failing"

    def __init__(self) -> None:
        self.closed: list[Ending] = []

    def show(self, name: str, picture: Tensor, step: int) -> None:
        """Do nothing."""

    def describe(self, options: Mapping[str, object]) -> None:
        """Do nothing."""

    def conclude(self, scores: Mapping[str, float], step: int) -> None:
        raise OSError("no\ntraceback")

    def close(self, ending: Ending) -> None:
        self.closed.append(ending)
        raise OSError("no answer")


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (ValueError("of the run"), Ending.FAILED),
        (DivergedError("of the run"), Ending.FAILED),
        (PrunedError("of the run"), Ending.PRUNED),
        (KeyboardInterrupt("of the run"), Ending.INTERRUPTED),
        (SystemExit("of the run"), Ending.INTERRUPTED),
    ],
)
def test_every_tracker_is_closed_and_the_error_of_the_run_is_kept(
    caplog: pytest.LogCaptureFixture, error: BaseException, ending: Ending
) -> None:
    trackers: Any = [Failing(), Failing()]
    result = RunResult(Status.RUNNING, {"seed": 1, "model": {}, "optimizer": {}})
    with pytest.raises(type(error), match="of the run"), described_in_trackers(trackers, result):
        raise error
    assert [tracker.closed for tracker in trackers] == [[ending], [ending]]
    assert caplog.messages == ["logger: failing was not closed (no answer)"] * 2


def test_a_tracker_that_does_not_take_the_final_scores_costs_no_finished_run(caplog: pytest.LogCaptureFixture) -> None:
    tracker: Any = Failing()
    result = RunResult(Status.DONE, {"seed": 1, "model": {}, "optimizer": {}})
    with described_in_trackers([tracker], result):
        log_final_scores([tracker], result)
    assert tracker.closed == [Ending.FINISHED]
    assert caplog.messages == [
        "logger: failing did not get the final scores (no)",
        "logger: failing was not closed (no answer)",
    ]


class FakeRun:
    """What `WandbTracker` calls of a run of wandb."""

    def __init__(self) -> None:
        self.config = self
        self.steps: list[int] = []
        self.exit_codes: list[int] = []
        self.tags: tuple[str, ...] | None = None

    def update(self, *values: object, **options: object) -> None:
        """Do nothing."""

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        self.steps.append(values["trainer/global_step"])

    def finish(self, exit_code: int) -> None:
        self.exit_codes.append(exit_code)


def test_wandb_gets_each_epoch_once_and_learns_how_a_run_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    from sr.trackers.weights_and_biases import WandbTracker

    run = FakeRun()
    monkeypatch.setattr(WandbTracker, "experiment", run)

    def tracker(resumed_at: int | None) -> WandbTracker:
        made = WandbTracker(str(tmp_path), resumed_at=resumed_at)
        made._experiment = cast(Any, run)
        made.describe({})
        return made

    first = tracker(None)
    first.log_metrics({"val/psnr": 30.0}, 9)
    first.close(Ending.FAILED)
    assert run.exit_codes == [1]
    write_table(RunFolder(tmp_path).metrics, [{"epoch": 1, "step": 10, "val/psnr": 30.0}])
    tracker(10).close(Ending.FINISHED)
    assert (run.steps, run.exit_codes) == ([9], [1, 0])
    rows = [{"epoch": number, "step": 10 * number, "val/psnr": 30.0} for number in (1, 2)]
    write_table(RunFolder(tmp_path).metrics, rows)  # of the second, wandb was killed
    tracker(20).close(Ending.FINISHED)
    tracker(20).close(Ending.FINISHED)
    assert run.steps == [9, 19]
    tracker(20).close(Ending.INTERRUPTED)
    assert (run.exit_codes[-1], run.tags) == (255, None)
    tracker(20).close(Ending.PRUNED)
    assert (run.exit_codes[-1], run.tags) == (0, ("pruned",))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "status", "tag"),
    [
        (Ending.FAILED, "FAILED", None),
        (Ending.INTERRUPTED, "KILLED", None),
        (Ending.PRUNED, "FINISHED", "pruned"),
        (Ending.FINISHED, "FINISHED", None),
    ],
)
def test_mlflow_shows_how_a_run_ended(tmp_path: Path, ending: Ending, status: str, tag: str | None) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    from sr.trackers.mlflow import MlflowTracker

    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracker = MlflowTracker(str(tmp_path), tracking_uri=store)
    tracker.describe({"model": "espcn"})
    tracker.finalize("success")
    tracker.close(ending)
    run = MlflowClient(store).get_run(str(tracker.run_id))
    assert (run.info.status, run.data.tags.get("ending")) == (status, tag)


def test_options_that_an_extension_changes_are_tags_in_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    from sr.trackers.mlflow import MlflowTracker

    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    long = "x" * 300
    for resumed_at, epochs in ((None, 2), (8, 20)):
        tracker = MlflowTracker(str(tmp_path), tracking_uri=store, resumed_at=resumed_at)
        tracker.describe({"model": "espcn", "trainer.max_epochs": epochs, "note": long})
        tracker.finalize("success")
    run = MlflowClient(store).get_run(str(tracker.run_id))
    assert run.data.params == {"model": "espcn", "trainer.max_epochs": "2", "note": long[:250]}
    assert {name: run.data.tags.get(name) for name in run.data.params} == {
        "model": None,
        "trainer.max_epochs": "20",
        "note": None,
    }


def check_mlflow(folder: Path, number: str, curve: dict[int, float], final: float) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("sr")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_id, run.info.run_name, run.info.status) == (number, "run", "FINISHED")
    history = client.get_metric_history(number, "val/psnr")
    assert {entry.step: entry.value for entry in history} == pytest.approx(curve)
    assert run.data.params["model"] == "espcn"
    assert run.data.metrics["final/psnr"] == pytest.approx(final)
    assert any("val" in artifact.path for artifact in client.list_artifacts(number, "images"))


def check_trackio(folder: Path, name: str, curve: dict[int, float], final: float) -> None:
    code = "import json, sys, trackio; print(json.dumps([trackio.SQLiteStorage.get_logs('sr', sys.argv[1]), "
    code += "[[run.name, run.config] for run in trackio.Api().runs('sr')]]))"
    environment = {**os.environ, "TRACKIO_DIR": str(folder / "trackio")}
    printed = subprocess.run([sys.executable, "-c", code, name], env=environment, capture_output=True, check=True)
    logs, runs = json.loads(printed.stdout.splitlines()[-1])
    ((only, options),) = runs
    assert only == name
    assert options["model"] == "espcn"
    assert {log["step"]: log["val/psnr"] for log in logs if "val/psnr" in log} == pytest.approx(curve)
    assert logs[-1]["final/psnr"] == pytest.approx(final)
    assert any(isinstance(value, dict) and value["_type"] == "trackio.image" for log in logs for value in log.values())


def check_wandb(folder: Path, number: str, curve: dict[int, float], final: float) -> None:
    files = sorted((folder / "run" / "wandb").glob(f"offline-run-*/run-{number}.wandb"))
    assert len(files) == 2  # one for each start, of one run
    records = b"".join(payloads(path.read_bytes()) for path in files)
    assert b"val/psnr" in records
    assert all(repr(value).encode() in records for value in curve.values())
    assert b"final/psnr" in records
    assert repr(final).encode() in records
    assert list((folder / "run" / "wandb").glob("offline-run-*/files/media/images/val/*.png"))


def payloads(log: bytes) -> bytes:
    """The contents of a LevelDB log, without the headers that may cut a record in two."""
    joined, place, block, header = b"", 7, 2**15, 7  # the file begins with a header of its own
    while place + header <= len(log):
        if block - place % block < header:  # a block ends with padding
            place += block - place % block
            continue
        length = int.from_bytes(log[place + 4 : place + 6], "little")
        joined += log[place + header : place + header + length]
        place += header + length
    return joined


def test_an_id_is_kept_in_the_run_folder_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    assert known_id(tmp_path, "mlflow") is None
    keep_id(tmp_path, "mlflow", "a1")
    keep_id(tmp_path, "wandb", "b2")
    assert (known_id(tmp_path, "mlflow"), known_id(tmp_path, "wandb")) == ("a1", "b2")
    RunFolder(tmp_path).trackers.write_text("{")
    with pytest.raises(UserError, match=r"trackers\.json: is damaged: delete it"):
        known_id(tmp_path, "mlflow")


def test_a_store_that_mlflow_does_not_know_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from sr.trackers.mlflow import MlflowTracker

    with pytest.raises(UserError, match=r"^logger\.mlflow\.tracking_uri=foo://x: .*foo"):
        MlflowTracker(str(tmp_path), tracking_uri="foo://x")


def test_a_missing_package_is_one_line() -> None:
    with pytest.raises(UserError, match=r"logger=x needs no_such_package: pip install 'sr-compare\[trackers\]'"):
        need("no_such_package", "x")
