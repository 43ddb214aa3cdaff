"""Whole runs through the command, small enough for a laptop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr.errors import UserError
from sr.image import quantise, to_float
from sr.io.images import read_image
from sr.io.locks import hold
from sr.io.run_folder import RunFolder
from sr.io.tables import read_table as table
from sr.metrics import score
from sr.weights.checkpoint import load_network
from tests.support.runs import SMALL, Command, MakeFolder, StopAt, result_of


def test_a_run_leaves_a_folder_that_explains_itself(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
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
    assert [row["epoch"] for row in epochs] == ["0", "1"]
    assert all(float(row[column]) == float(row[column]) for row in epochs for column in row)

    images = table(folder / "images.csv")
    best = max(epochs, key=lambda row: float(row["val/psnr"]))
    assert images[0]["epoch"] == best["epoch"]
    assert float(images[0]["psnr"]) == pytest.approx(float(best["val/psnr"]), abs=1e-4)
    assert result["scores"]["val"]["psnr"]["mean"] == pytest.approx(float(images[0]["psnr"]))
    assert len(table(folder / "test_images.csv")) == 2

    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    tags = events.Tags()
    assert {"train/loss_step", "val/psnr", "lr", "final/psnr"} <= set(tags["scalars"])
    assert any(tag.startswith("val/") for tag in tags["images"])
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
def test_same_seed_same_result_and_another_seed_another(
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


def test_a_finished_run_is_not_trained_again_and_another_config_not_mixed_in(
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
    code, _ = command(*settings, "test=true")  # but asked for test scores, it adds them
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
@pytest.mark.parametrize(("step", "workers"), [(1, 0), (5, 0), (5, 2), (6, 0), (9, 0)])
def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on_bit_for_bit(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, workers: int
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=14)}", "trainer.max_epochs=3"]
    settings += [f"data.num_workers={workers}", "model=autoencoder", "model.channels=4", "model.dropout=0.3"]
    stop = [f"+callbacks.stop={{_target_: tests.support.runs.StopAt, step: {step}}}"]
    never = ["+callbacks.stop={_target_: tests.support.runs.StopAt, step: -1}"]
    assert command(*settings, *never, folder="whole")[0] == 0

    code, text = command(*settings, *stop)
    assert code == 130
    assert "stopping after this step" in text
    assert result_of(tmp_path / "run")["status"] == "interrupted"
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*settings, *stop)
    assert code == 0
    assert "resuming from" in text

    whole, resumed = (tmp_path / name for name in ("whole", "run"))
    ends = [torch.load(one / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for one in (whole, resumed)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    columns = ("epoch", "step", "lr", "train/loss", "val/psnr", "val/loss")
    rows = [[[row[column] for column in columns] for row in table(one / "metrics.csv")] for one in (whole, resumed)]
    assert rows[0] == rows[1]


def test_a_job_whose_time_is_over_writes_its_checkpoint_before_the_scheduler_hears_of_it(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=14)}", "trainer.max_epochs=3"]
    stop = [f"+callbacks.stop={{_target_: tests.support.runs.StopAt, step: 5, number: {int(signal.SIGUSR2)}}}"]
    found: list[bool] = []

    def queue_again(number: int, frame: object) -> None:
        found.append((tmp_path / "run" / "checkpoints" / "last.ckpt").is_file())
        sys.exit(255)

    before = signal.signal(signal.SIGUSR2, queue_again)
    try:
        code, text = command(*settings, *stop)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert found == [True]
    assert code == 143, text
    assert result_of(tmp_path / "run")["status"] == "interrupted"
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*settings, *stop)
    assert code == 0
    assert "resuming from" in text


def test_a_moved_run_folder_keeps_its_best(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
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


def test_a_run_that_another_process_trains_is_left_alone(command: Command, tmp_path: Path) -> None:
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
    """The files of a run folder by name, without what Hydra wrote."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".hydra" not in path.parts]
    return {path.name: path.read_bytes() for path in files if path.suffix != ".log"}


def test_retraining_leaves_nothing_of_the_run_before_once_it_begins(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1")
    command(*settings, "test=true")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    before = contents(tmp_path / "run")
    assert command(*settings, "retrain=true", "optimizer.lr=-1")[0] == 2  # refused: nothing is lost
    assert contents(tmp_path / "run") == before
    code, text = command(*settings, "retrain=true", "seed=2")
    assert code == 0, text
    left = contents(tmp_path / "run")
    assert left["notes.txt"] == b"mine"
    assert "test_images.csv" not in left
    assert left["best.ckpt"] != before["best.ckpt"]
    assert not {name for name in before if name.startswith("events")} & left.keys()


def test_a_run_that_was_never_validated_is_done_and_stays_done(command: Command, make_folder: MakeFolder) -> None:
    settings = ("data=isr", f"data.root={make_folder(count=6)}", "trainer.max_epochs=1", "trainer.limit_val_batches=0")
    code, text = command(*settings)
    assert code == 0, text
    assert "never validated" in text
    assert command(*settings)[0] == 0


def test_a_diverged_run_says_so_and_leaves_its_result(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=6)
    settings = ["optimizer=sgd", "optimizer.lr=1e18", "trainer.gradient_clip_val=null", "scheduler=constant"]
    code, text = command("data=isr", f"data.root={root}", "trainer.max_epochs=9", "loss=mse", *settings)
    assert code == 3, text
    result = result_of(tmp_path / "run")
    assert result["status"] == "diverged"
    assert "gradient norm" in result["reason"]
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["scale=0"], "scale"),
        (["scale=1.5"], "scale"),
        (["data=isr"], "data.root=FOLDER"),
        (["data=isr", "data.root=/nowhere"], "/nowhere: no such folder"),
        (["data.patch=300"], "data.patch=300 is larger than"),
        (["data.folds=40"], "needs 40 source images"),
        (["loss=vgg", "loss.weights=/nowhere.pth"], "no such file"),
        (["optimizer.lr=-1"], "Invalid learning rate"),
        (["monitor=val/pnsr"], "monitor must be one of val/psnr"),
        (["monitor=val/loss"], "mode=min"),
        (["data.num_workers=-1"], "num_workers"),
        (["trainer.max_epochs=-1", "scheduler=cosine"], ""),
        (["data.fold=3"], "needs the number of folds"),
        (["model.activation=gelu"], "one of relu, tanh"),
        (["+model.depth=3"], "unexpected keyword argument"),
        (["data.augment.flip=true", "+data.augment.shear=true"], "unexpected keyword argument"),
    ],
)
def test_bad_input_ends_before_training_with_one_line(
    command: Command, tmp_path: Path, overrides: list[str], message: str
) -> None:
    code, text = command(*overrides)
    assert code == 2, text
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("error: ")
    assert message in lines[0]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=srgan"], "Could not find 'model/srgan'"),
        (["model.depth=3"], "Key 'depth' is not in struct"),
        (["colour=red"], "Could not override 'colour'"),
    ],
)
def test_unknown_groups_and_options_get_hydras_message(command: Command, overrides: list[str], message: str) -> None:
    code, text = command(*overrides)
    assert code == 1
    assert message in text
    assert "Traceback" not in text


@pytest.mark.slow
def test_sigterm_writes_a_checkpoint_and_ends_with_the_shells_code(make_folder: MakeFolder, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = ["data=isr", f"data.root={make_folder(count=14)}", "trainer.max_epochs=500", f"hydra.run.dir={run}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sr.train", *SMALL, *settings],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=tmp_path,
    )
    deadline = time.monotonic() + 60
    while not (run / "metrics.csv").is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output.decode()
    assert result_of(run)["status"] == "interrupted"
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_two_processes_stop_together_when_one_is_told_and_go_on(
    make_folder: MakeFolder, tmp_path: Path, number: int
) -> None:
    run = tmp_path / "run"
    settings = ["data=isr", f"data.root={make_folder(count=40)}", "trainer.max_epochs=30", "logger=none"]
    settings += ["trainer=ddp", "trainer.devices=2", "trainer.log_every_n_steps=1"]
    line = [sys.executable, "-m", "sr.train", *SMALL, "data.batch_size=1", *settings, f"hydra.run.dir={run}"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path)
    deadline = time.monotonic() + 100
    while not (run / "metrics.csv").is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)  # the first alone
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number, output.decode()
    assert result_of(run)["status"] == "interrupted"
    assert table(run / "metrics.csv")[-1]["epoch"] != "29"
    steps = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert steps > 0
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=200, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row["epoch"] for row in table(run / "metrics.csv")] == [str(epoch) for epoch in range(30)]


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_doubled_batch(make_folder: MakeFolder, tmp_path: Path) -> None:
    settings = ["data=isr", f"data.root={make_folder(count=12)}", "trainer.max_epochs=3", "logger=none"]
    settings += ["data.patch=32", "data.repeat=2", "trainer.accelerator=cpu", "trainer.precision=32-true"]
    tables = {}
    for trainer, devices, batch_size in (("cpu", 1, 8), ("ddp", 2, 4)):
        own = [f"trainer={trainer}", f"trainer.devices={devices}", f"data.batch_size={batch_size}"]
        line = [sys.executable, "-m", "sr.train", *own, *settings, f"hydra.run.dir={tmp_path / trainer}"]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        tables[trainer] = table(tmp_path / trainer / "metrics.csv")
    assert len(tables["cpu"]) == len(tables["ddp"]) == 3
    for one, both in zip(tables["cpu"], tables["ddp"], strict=True):
        assert both["step"] == one["step"]
        assert float(both["train/loss"]) == pytest.approx(float(one["train/loss"]), rel=1e-4)
        assert float(both["val/loss"]) == pytest.approx(float(one["val/loss"]), rel=1e-3)
    alone, together = (
        [float(row["psnr"]) for row in table(tmp_path / trainer / "images.csv")] for trainer in ("cpu", "ddp")
    )
    assert together == pytest.approx(alone, abs=1e-3)


def test_a_sweep_with_devices_in_turn_runs_where_there_is_no_gpu(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    code, text = command(
        "hydra.mode=MULTIRUN", "trainer=spread", "seed=1,2", "data=isr", f"data.root={make_folder()}",
        "trainer.max_epochs=1", f"hydra.sweep.dir={tmp_path}",
    )  # fmt: skip
    assert code == 0, text
    assert len(list(tmp_path.glob("*/result.json"))) == 2


# Narrow networks: a step of the whole ones takes a minute here.
RECIPE_SIZES = {f"edsr_x{scale}": ["model.num_blocks=2", "model.channels=8"] for scale in (2, 3, 4)}
RECIPE_SIZES |= {"vdsr": ["model.num_blocks=2"], "autoencoder_x2": ["model.channels=8"]}
RECIPES = [f"{name}_x{scale}" for name in ("espcn", "edsr") for scale in (2, 3, 4)] + ["vdsr", "autoencoder_x2"]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_takes_a_step_and_its_checkpoint_enlarges(
    command: Command, make_folder: MakeFolder, tmp_path: Path, recipe: str
) -> None:
    root = make_folder(count=3, size=(200, 200))
    code, text = command(
        f"experiment={recipe}", f"data.root={root}", "trainer.max_epochs=1", "trainer.limit_train_batches=1",
        "data.batch_size=2", "data.patch=48", "data.val_share=0.4", "logger=none", *RECIPE_SIZES.get(recipe, []),
    )  # fmt: skip
    assert code == 0, text
    result = result_of(tmp_path / "run")
    assert (result["status"], result["protocol"], result["steps"]) == ("done", "y", 1)
    scales = [2, 3, 4] if recipe == "vdsr" else [int(recipe[-1])]
    for scale in scales:
        net, _ = load_network(tmp_path / "run" / "checkpoints" / "best.ckpt", scale)
        assert net(torch.rand(1, 3, 5, 6)).shape == (1, 3, 5 * scale, 6 * scale)
    with pytest.raises(UserError, match="not 5"):
        load_network(tmp_path / "run" / "checkpoints" / "best.ckpt", 5)


def test_several_factors_are_refused_for_a_network_that_enlarges_by_itself(
    command: Command, make_folder: MakeFolder
) -> None:
    code, text = command(
        "model=espcn", "data=folder", f"data.root={make_folder()}", "data.scales=[2,3]", "data.patch=24"
    )
    assert code == 2
    assert "data.scales needs a network that takes the enlarged image" in text
