"""Complete runs through the command line, small enough for a laptop."""

import json
import os
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr.image import quantise, to_float
from sr.io.images import read_image
from sr.io.locks import hold
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table as table
from sr.metrics import score
from sr.weights.checkpoint import load_network
from tests.support.runs import Command, MakeFolder, result_of


def test_matrix_products_on_a_gpu_can_be_deterministic_in_any_run_of_a_process(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "CUBLAS_WORKSPACE_CONFIG"  # read by the first product
    monkeypatch.setenv(name, "to be restored")
    monkeypatch.delenv(name)
    assert command(flags=["--cfg", "job"])[0] == 0
    assert os.environ[name] == ":4096:8"
    monkeypatch.setenv(name, ":16:8")
    assert command(flags=["--cfg", "job"])[0] == 0
    assert os.environ[name] == ":16:8"


def test_a_run_folder_describes_its_run(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(count=12)
    code, text = command(
        "data=isr", f"data.root={root}", "trainer.max_epochs=2", "test=true", "seed=0", "trainer.log_every_n_steps=1"
    )
    assert code == 0, text
    folder = tmp_path / "run"
    result = result_of(folder)
    assert result["status"] == "done"
    assert result["command"].endswith(
        f"data.root={root} trainer.max_epochs=2 test=true seed=0 trainer.log_every_n_steps=1"
    )
    assert result["config"]["seed"] == 0
    assert result["protocol"] == "rgb"
    assert result["parameters"] == 24_195
    assert result["data"]["images"] == {"train": 9, "val": 1, "test": 2}
    assert (result["epochs"], result["steps"]) == (2, 6)
    for key in ("versions", "machine", "git_commit", "multiply_adds", "images_per_second", "wait_share", "seconds"):
        assert key in result

    epochs = table(folder / "metrics.csv")
    assert [row["epoch"] for row in epochs] == ["1", "2"]
    assert all(float(row[column]) == float(row[column]) for row in epochs for column in row)

    images = table(folder / "images.csv")
    best = max(epochs, key=lambda row: float(row["val/psnr"]))
    assert images[0]["epoch"] == best["epoch"]
    assert float(images[0]["psnr"]) == pytest.approx(float(best["val/psnr"]), abs=1e-4)
    assert result["scores"]["val"]["psnr"]["mean"] == pytest.approx(float(images[0]["psnr"]))
    assert len(table(folder / "test_images.csv")) == 2

    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    tags = events.Tags()
    assert {"train/loss_step", "Val/psnr", "lr", "final/psnr"} <= set(tags["scalars"])
    assert any(tag.startswith("pictures/") for tag in tags["images"])
    assert "_hparams_/experiment" in events.summary_metadata
    lines = text.strip().splitlines()
    for part in ("val", "test"):
        scores = {name: values["mean"] for name, values in result["scores"][part].items()}
        expected = f"{part}/psnr {scores['psnr']:.2f} dB, input {scores['input_psnr']:.2f}, gain {scores['gain']:+.2f}"
        assert any(line.startswith(expected) for line in lines)
    assert lines[-1] == f"run folder: {folder}"


def test_the_best_checkpoint_alone_reproduces_the_recorded_score(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=8)
    command("data=isr", f"data.root={root}", "trainer.max_epochs=2", "scale=2")
    net, config = load_network(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert config["scale"] == 2
    row = table(tmp_path / "run" / "images.csv")[0]
    hr = to_float(read_image(root / "high_res" / f"{row['name']}.png"))[None]
    from sr.data.pairs import derive_lr

    lr = to_float(derive_lr(read_image(root / "high_res" / f"{row['name']}.png"), 2, 2))[None]
    with torch.no_grad():
        assert score(quantise(net(lr)), hr)["psnr"].item() == pytest.approx(float(row["psnr"]), abs=1e-3)


def test_a_model_that_loses_to_its_input_ends_with_a_warning(command: Command, make_folder: MakeFolder) -> None:
    root = make_folder(count=6)
    settings = ("data=isr", f"data.root={root}", "trainer.max_epochs=1", "model.head=sigmoid")
    code, text = command(*settings)
    assert code == 0
    assert "WARNING: this model does not beat its input on the val images" in text


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=8)
    weights = {}
    for name, overrides in {"a": [], "b": ["data.num_workers=2", "data.cache=none"], "c": ["seed=0"]}.items():
        command("data=isr", f"data.root={root}", "trainer.max_epochs=2", *overrides, folder=name)
        state = torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        weights[name] = torch.cat([value.flatten() for value in state.values()])
    assert torch.equal(weights["a"], weights["b"])
    assert not torch.equal(weights["a"], weights["c"])


@pytest.mark.slow
def test_a_finished_run_is_not_retrained_and_another_config_is_refused(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1")
    command(*settings)
    started = result_of(tmp_path / "run")["started"]
    time.sleep(1.1)
    code, text = command(*settings)
    assert code == 0
    assert "done before" in text
    assert "val/psnr" in text
    assert result_of(tmp_path / "run")["started"] == started
    code, _ = command(*settings, "test=true")  # adds the test scores
    assert code == 0
    assert "test" in result_of(tmp_path / "run")["scores"]
    assert result_of(tmp_path / "run")["steps"] == 1
    code, text = command(*settings, "seed=5")
    assert code == 2
    assert "holds a run of another config, data.seed: 23 there, 5 here (and 1 more)" in text
    code, _ = command(*settings, "seed=5", "retrain=true")
    assert code == 0
    assert result_of(tmp_path / "run")["config"]["seed"] == 5


@pytest.mark.slow
def test_a_moved_run_folder_keeps_its_best_score(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=2")
    command(*settings)
    before = result_of(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    code, text = command(*settings, "test=true", folder="moved")
    assert code == 0, text
    after = result_of(tmp_path / "moved")
    assert after["monitor"] == before["monitor"]
    assert after["scores"]["val"] == before["scores"]["val"]
    assert "test" in after["scores"]


def test_a_run_that_another_process_is_training_is_left_alone(command: Command, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    earlier = {"status": "running", "process": {"host": "there", "id": 7}, "started": "noon", "config": {}}
    (tmp_path / "run" / "result.json").write_text(json.dumps(earlier))
    with hold(RunFolder(tmp_path / "run").lock):
        code, text = command("debug=tiny")
    assert code == 2
    assert "process 7 on there has trained this run since noon: wait for it, or choose another folder" in text
    assert result_of(tmp_path / "run") == earlier


def test_a_run_that_failed_before_training_does_not_block_its_folder(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1")
    assert command(*settings, "data.patch=300")[0] == 2
    assert command(*settings)[0] == 0
    assert result_of(tmp_path / "run")["status"] == "done"


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a run folder by name, except Hydra's."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".hydra" not in path.parts]
    return {path.name: path.read_bytes() for path in files if path.suffix != ".log"}


@pytest.mark.slow
def test_retraining_removes_the_earlier_run_once_it_starts(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1")
    command(*settings, "test=true")
    (tmp_path / "run" / "notes.txt").write_text("a note")
    before = contents(tmp_path / "run")
    assert command(*settings, "retrain=true", "optimizer.lr=-1")[0] == 2  # refused: nothing is lost
    assert contents(tmp_path / "run") == before
    code, text = command(*settings, "retrain=true", "seed=2")
    assert code == 0, text
    after = contents(tmp_path / "run")
    assert after["notes.txt"] == b"a note"
    assert "test_images.csv" not in after
    assert after["best.ckpt"] != before["best.ckpt"]
    assert not {name for name in before if name.startswith("events")} & after.keys()


def test_a_run_that_was_never_validated_is_done_and_stays_done(command: Command, make_folder: MakeFolder) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1", "trainer.limit_val_batches=0")
    code, text = command(*settings)
    assert code == 0, text
    assert "never validated" in text
    assert command(*settings)[0] == 0


def test_a_diverged_run_writes_its_result(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder(count=6)
    settings = ["optimizer=sgd", "optimizer.lr=1e18", "trainer.gradient_clip_val=null", "scheduler=constant"]
    code, text = command("data=isr", f"data.root={root}", "trainer.max_epochs=9", "loss=mse", *settings)
    assert code == 3, text
    result = result_of(tmp_path / "run")
    assert result["status"] == "diverged"
    assert "gradient norm" in result["reason"]
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_sweep_with_trainer_spread_runs_without_a_gpu(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    code, text = command(
        "hydra.mode=MULTIRUN", "trainer=spread", "seed=1,2", "data=isr", f"data.root={make_folder()}",
        "trainer.max_epochs=1", f"hydra.sweep.dir={tmp_path}",
    )  # fmt: skip
    assert code == 0, text
    assert len(list(tmp_path.glob("*/result.json"))) == 2
