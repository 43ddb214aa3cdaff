"""Training on a GPU: no step waits for it, its time is known, and an interrupted run resumes bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sr.io.tables import read_table
from tests.support.gpu import DEVICE, ON_GPU, copies_of
from tests.support.run_differences import differences
from tests.support.runs import SMALL, Command, MakeFolder, StopAt, result_of

FORBID = "+callbacks.forbid={_target_: tests.support.gpu.ForbidWaiting}"


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("callbacks=ema", "logger=both"),
        ("loss=vgg", "vgg_weights=random", "trainer.precision=bf16-mixed"),
        ("loss=vgg_origin", "vgg_weights=random"),
        ("loss=lpips", "vgg_weights=random"),
        ("loss=luma",),
        ("loss=ms_ssim", "loss.scales=2"),
        ("trainer.gradient_clip_val=1", "optimizer=sgd", "loss=charbonnier"),
        ("data.cache=memory",),
        ("data.cache=memory", "data.num_workers=2"),
        ("scale=2", "model=edsr", "model.num_blocks=2", "trainer.precision=bf16-mixed"),
    ],
    ids=lambda options: " ".join(options) or "default",
)
def test_no_training_step_waits_for_the_gpu(
    options: tuple[str, ...], command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    settings = [f"data.root={make_folder(count=14)}", "trainer.max_epochs=2", "data.repeat=4", FORBID]
    code, text = command(*ON_GPU, *settings, "trainer.log_every_n_steps=1", *options)
    assert code == 0, text
    result = result_of(tmp_path / "run")
    assert (result["status"], result["device"]) == ("done", "cuda:0")
    assert result["steps"] > 15


@pytest.mark.parametrize(
    "options",
    [
        ("data.cache=device", "loss=luma"),
        ("data.cache=memory", "loss=vgg", "vgg_weights=random"),
        ("callbacks=ema", "trainer.gradient_clip_val=1"),
    ],
    ids=lambda options: " ".join(options),
)
def test_no_training_step_copies_from_memory_that_is_not_pinned(
    options: tuple[str, ...], command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        torch.zeros(2**20).to(DEVICE)
        torch.cuda.synchronize()
    assert any("Pageable" in name for name in copies_of(profiler))
    record = f"+callbacks.copies={{_target_: tests.support.gpu.RecordCopies, path: '{tmp_path / 'copies.json'}'}}"
    settings = [f"data.root={make_folder(count=14)}", "data.repeat=8", record]
    assert command(*ON_GPU, *settings, *options, "trainer.max_epochs=1")[0] == 0
    copies = json.loads((tmp_path / "copies.json").read_text())
    assert copies
    assert [name for name in copies if "Pageable" in name] == []


def test_the_curve_of_the_loss_has_every_step(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    settings = [f"data.root={make_folder(count=14)}", "trainer.max_epochs=2", "trainer.log_every_n_steps=1"]
    assert command(*ON_GPU, *settings, "logger=tensorboard")[0] == 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    steps = result_of(tmp_path / "run")["steps"]
    assert [point.step for point in events.Scalars("train/loss_step")] == list(range(steps))


def test_the_work_of_the_gpu_counts_as_training_and_not_as_waiting(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=14)
    seconds = {}
    slowly = 200_000_000  # cycles, about a tenth of a second
    for name, cycles in (("first", 0), ("fast", 0), ("slow", slowly)):  # the first loads cuDNN and chooses algorithms
        slow = f"+callbacks.slow={{_target_: tests.support.gpu.SlowSteps, cycles: {cycles}}}"
        assert command(*ON_GPU, f"data.root={root}", "trainer.max_epochs=2", slow, folder=name)[0] == 0
        seconds[name] = result_of(tmp_path / name)["train_seconds"]
    result = result_of(tmp_path / "slow")
    assert seconds["slow"] > seconds["fast"] + 0.05 * result["steps"]
    assert result["wait_share"] < 0.5


@pytest.mark.parametrize("options", [(), ("callbacks=ema", "loss=vgg_origin", "vgg_weights=random")])
def test_an_interrupted_run_resumes_bit_for_bit(
    options: tuple[str, ...],
    command: Command,
    make_folder: MakeFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = [*ON_GPU, f"data.root={make_folder(count=14)}", "trainer.max_epochs=3", "trainer.deterministic=true"]
    settings += ["model=autoencoder", "model.channels=4", "model.dropout=0.3", *options]
    stop = "+callbacks.stop={_target_: tests.support.runs.StopAt, step: %d}"
    assert command(*settings, stop % -1, folder="uninterrupted")[0] == 0
    assert command(*settings, stop % 5, interrupted=True)[0] == 130
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*settings, stop % 5)
    assert code == 0, text
    assert "resuming from" in text
    assert differences(tmp_path / "uninterrupted", tmp_path / "run") == []


def test_a_compiled_network_is_compiled_once_though_the_last_batch_is_smaller(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    settings = [f"data.root={make_folder(count=13)}", "trainer.max_epochs=3", "trainer.compile=true"]
    code, text = command(*ON_GPU, *settings)
    assert code == 0, text
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    compiled = [float(row["train/loss"]) for row in read_table(tmp_path / "run" / "metrics.csv")]
    assert command(*ON_GPU, *settings, "trainer.compile=false", folder="plain")[0] == 0
    plain = [float(row["train/loss"]) for row in read_table(tmp_path / "plain" / "metrics.csv")]
    assert compiled == pytest.approx(plain, rel=1e-2)


def test_two_workers_on_one_gpu_finish(make_folder: MakeFolder, tmp_path: Path) -> None:
    options = [f"data.root={make_folder(count=14)}", "trainer.max_epochs=2", "seed=1,2,3,4", "model=espcn,vdsr"]
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    argv = [sys.executable, "-m", "sr.train", "-m", *SMALL, *ON_GPU, *options, "model.num_blocks=2", *launcher]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=900, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(path.read_text()) for path in (tmp_path / "sweep").glob("*/result.json")]
    assert len(results) == 8
    assert {result["status"] for result in results} == {"done"}
    assert {result["device"] for result in results} == {"cuda:0"}


@pytest.mark.slow
def test_two_gpus_train_like_one_with_twice_the_batch_size(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    root = make_folder(count=12)
    tables = []
    for devices, batch in ((1, 8), (2, 4)):
        options = [
            f"data.root={root}",
            "data.repeat=2",  # so that no process draws an image once more to fill its last batch
            "trainer.max_epochs=3",
            f"trainer.devices={devices}",
            f"data.batch_size={batch}",
        ]
        strategy = ["trainer.strategy=ddp"] if devices > 1 else []
        run = tmp_path / str(devices)
        argv = [sys.executable, "-m", "sr.train", *SMALL, *ON_GPU, *options, *strategy, f"hydra.run.dir={run}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        tables.append(read_table(run / "metrics.csv"))
    for alone, together in zip(*tables, strict=True):
        assert float(together["train/loss"]) == pytest.approx(float(alone["train/loss"]), rel=1e-3)


@pytest.mark.slow
def test_little_of_the_grid_trains_by_one_command(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-m", "scripts.bench.gpu", "--grid", "--small", "--out", str(tmp_path / "grid.json")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=900, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((tmp_path / "grid.json").read_text())
    assert (content["cells"], content["unfinished"]) == (4, 0)
    assert {row["device"] for row in content["rows"]} == {"cuda:0"}
