"""Using networks on a GPU: the same scores and pictures as on a CPU, in float32 that is float32."""

import json
import math
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sr.benchmark.evaluate import evaluate
from sr.data.sources import isr_folders
from sr.data.stores import kinds
from sr.data.stores.store import PairStore
from sr.inference.enlarger import Enlarger
from sr.losses import VGGLoss
from sr.machine.float32 import full_float32
from sr.weights.find import find_model
from sr.weights.model import Model
from sr.weights.onnx.exported import export
from tests.support.gpu import DEVICE, ON_GPU
from tests.support.images import photograph
from tests.support.networks import sharp_network
from tests.support.runs import Command, MakeFolder


@pytest.fixture
def pixels() -> np.ndarray:
    return np.asarray(photograph(150, 211, seed=1))


@pytest.mark.parametrize("protocol", ["y", "rgb"])
def test_a_checkpoint_trained_on_the_gpu_scores_alike_on_gpu_and_cpu(
    protocol: str, command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder(count=14)
    settings = [f"data.root={root}", "scale=2", "trainer.max_epochs=3", "data.repeat=8", "loss=mae"]
    assert command(*ON_GPU, *settings)[0] == 0
    rows = {
        device: evaluate([find_model(str(tmp_path / "run"))], [root], scale=2, protocol=protocol, device=device)
        for device in (DEVICE, "cpu")
    }
    for on_gpu, on_cpu in zip(rows[DEVICE], rows["cpu"], strict=True):
        assert on_gpu.psnr == pytest.approx(on_cpu.psnr, abs=0.01)
        assert on_gpu.ssim == pytest.approx(on_cpu.ssim, abs=1e-4)
        for ours, theirs in zip(on_gpu.images, on_cpu.images, strict=True):
            assert ours.psnr == pytest.approx(theirs.psnr, abs=0.01)


def test_pictures_differ_from_those_of_the_cpu_by_rounding_alone(pixels: np.ndarray) -> None:
    for model in (Model("bicubic", 2), Model("sharp", 2, [sharp_network()])):
        outs = [
            Enlarger(model, device=device, precision="float32", tile=tile)(pixels).astype(int)
            for device, tile in ((DEVICE, None), (DEVICE, 64), ("cpu", None))
        ]
        for out in outs[:2]:
            assert np.abs(out - outs[2]).max() <= 1
            assert (out != outs[2]).mean() < 0.01


def test_bicubic_is_computed_on_the_gpu(pixels: np.ndarray) -> None:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.max_memory_allocated()
    Enlarger(Model("bicubic", 2), device=DEVICE)(pixels)
    assert torch.cuda.max_memory_allocated() > before + pixels.size


def test_a_tile_that_does_not_fit_is_halved(caplog: pytest.LogCaptureFixture) -> None:
    lr = torch.zeros(3, 2048, 2048, dtype=torch.uint8)
    whole = Enlarger(Model("sharp", 2, [sharp_network()]), device=DEVICE, tile=0, precision="float32")
    torch.cuda.empty_cache()
    try:
        torch.cuda.set_per_process_memory_fraction(1.5e9 / torch.cuda.get_device_properties(0).total_memory)
        assert whole(lr).shape == (3, 4096, 4096)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "retrying with" in caplog.text


def test_a_network_trained_on_the_gpu_is_exported(command: Command, make_folder: MakeFolder, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs sr-compare[onnx]")
    assert command(*ON_GPU, f"data.root={make_folder(count=14)}", "scale=2", "trainer.max_epochs=1")[0] == 0
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    assert export(best, tmp_path / "net.onnx") < 1e-5


def test_float32_convolutions_are_not_tf32() -> None:
    generator = torch.Generator().manual_seed(0)
    image, weight = torch.rand(1, 64, 64, 64, generator=generator), torch.rand(64, 64, 3, 3, generator=generator)
    exact = F.conv2d(image.double(), weight.double())
    with full_float32():
        out = F.conv2d(image.to(DEVICE), weight.to(DEVICE)).cpu()
    assert float(((out - exact) / exact).abs().max()) < 1e-5


def test_the_store_takes_the_memory_of_its_images_and_a_block(make_folder: MakeFolder) -> None:
    sources = isr_folders(make_folder(count=20, size=(300, 400)))
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    store = PairStore(sources, scale=2, shrink=2, kind="device", device=torch.device(DEVICE))
    values = 20 * 3 * 300 * 400 * 5 // 4
    assert torch.cuda.max_memory_allocated() - before < 1.1 * values + 2**20
    on_cpu = PairStore(sources, scale=2, shrink=2, kind="memory")
    for number in (0, 7, 19):
        for stored, expected in zip(store[number], on_cpu[number], strict=True):
            assert stored.device.type == DEVICE
            assert torch.equal(stored.cpu(), expected)
    del stored, expected  # views of what the store holds
    store.close()
    assert torch.cuda.memory_allocated() - before < 2**20


def test_two_workers_share_what_images_may_take_of_the_memory(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = isr_folders(make_folder(count=1))
    device = torch.device(DEVICE)
    side = math.isqrt(int(0.3 * torch.cuda.mem_get_info(device)[0] / 3.75))  # three tenths, with its input at x2
    large = [replace(source, box=(0, 0, side, side))]
    assert kinds.choose_kind(large, 2, device) == "device"
    monkeypatch.setattr(kinds, "workers_of_sweep", lambda: 2)
    assert kinds.choose_kind(large, 2, device, is_shared=True) == "disk"


def test_the_time_of_an_image_is_without_the_loading_of_cudnn(make_folder: MakeFolder, tmp_path: Path) -> None:
    root, table = make_folder(count=8, size=(96, 128)), tmp_path / "scores.json"
    sr = Path(sys.executable).with_name("sr")  # another process, which has loaded nothing
    subprocess.run([sr, "evaluate", "espcn_x2", "--data", root, "--json", table, "--device", DEVICE], check=True)
    rows = json.loads(table.read_text())
    assert len(rows) == 2
    for row in rows:
        first, *others = (image["ms"] for image in row["per_image"])
        assert first < 20 * statistics.median(others)  # loading takes hundreds of times as long


@pytest.mark.parametrize("resize", [None, 48])
def test_the_vgg_loss_has_a_deterministic_gradient(resize: int | None) -> None:
    loss = VGGLoss("random", resize=resize).to(DEVICE)
    sr, hr = (torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(seed)).to(DEVICE) for seed in (1, 2))
    torch.use_deterministic_algorithms(mode=True)
    try:
        gradients = []
        for _ in range(3):
            image = sr.clone().requires_grad_()
            loss(image, hr).backward()
            assert image.grad is not None
            gradients.append(image.grad)
    finally:
        torch.use_deterministic_algorithms(mode=False)
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)
