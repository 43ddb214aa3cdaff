import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import sr
from sr.image import resize
from sr.machine import cost
from sr.machine import environment as environment_module
from sr.machine.cost import (
    count_parameters,
    multiply_adds,
    peak_memory_bytes,
    reset_peak_memory,
)
from sr.machine.environment import environment
from sr.nets.autoencoder import Autoencoder
from sr.nets.espcn import ESPCN
from sr.nets.vdsr import VDSR


@pytest.mark.parametrize(
    ("net", "weights_per_pixel"),
    [
        (ESPCN(), 3 * 64 * 25 + 64 * 32 * 9 + 32 * 3 * 9),
        (VDSR(), (3 * 64 + 18 * 64 * 64 + 64 * 3) * 9),
    ],
)
def test_multiply_adds_are_weights_times_pixels(net: nn.Module, weights_per_pixel: int) -> None:
    assert multiply_adds(net, 1) == weights_per_pixel * 256 * 256


def test_multiply_adds_count_pooling_and_scale() -> None:
    layers = [(3, 64, 1), (64, 64, 1), (64, 128, 4), (128, 128, 4), (128, 256, 16)]
    layers += [(256, 128, 4), (128, 128, 4), (128, 64, 1), (64, 64, 1), (64, 3, 1)]
    assert multiply_adds(Autoencoder(), 1) == sum(9 * a * b * 65536 // shrink for a, b, shrink in layers)
    assert multiply_adds(VDSR(scale=2), 2) == multiply_adds(VDSR(), 1)
    assert multiply_adds(ESPCN(scale=2), 2) == (3 * 64 * 25 + 64 * 32 * 9 + 32 * 12 * 9) * 128 * 128


class Linear(nn.Module):
    """A matrix product at each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, lr: Tensor) -> Tensor:
        pixels: Tensor = self.linear(lr.permute(0, 2, 3, 1))
        return pixels.permute(0, 3, 1, 2)


class WindowAttention(nn.Module):
    """Attention inside windows of ``side`` x ``side`` pixels, its two products without any weights."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, lr: Tensor) -> Tensor:
        windows = lr.unfold(2, self.side, self.side).unfold(3, self.side, self.side)
        tokens = windows.permute(0, 2, 3, 4, 5, 1).reshape(-1, self.side**2, 3)
        tokens = torch.softmax(torch.bmm(tokens, tokens.transpose(1, 2)), -1) @ tokens
        return lr + tokens.mean()


class WindowAttentionByValue(WindowAttention):
    """Looks at a value, so it has to be computed."""

    def forward(self, lr: Tensor) -> Tensor:
        return super().forward(lr) if lr.sum().item() < 1 else lr


class EnlargedFirst(nn.Module):
    """A 1x1 convolution of the enlarged input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, lr: Tensor) -> Tensor:
        enlarged: Tensor = self.conv(resize(lr, 2))
        return enlarged


@pytest.mark.parametrize(
    ("net", "scale", "expected"),
    [
        (Linear(), 1, 589_824),  # 3 * 3 weights at 65,536 pixels
        (WindowAttention(2), 1, 2 * 4 * 3 * 65_536),  # each pixel meets the 4 of its window, twice
        (WindowAttentionByValue(2), 1, 2 * 4 * 3 * 65_536),
        (EnlargedFirst(), 2, 589_824),  # what resizes the input does not count
    ],
)
def test_matrix_products_count_and_resizing_does_not(net: nn.Module, scale: int, expected: int) -> None:
    assert multiply_adds(net, scale) == expected
    lr = torch.rand(1, 3, 8, 8)
    assert torch.equal(resize(lr, 2), resize(lr.clone(), 2))
    assert resize(lr, 2).any()


def test_measuring_leaves_the_network_unchanged() -> None:
    net = Autoencoder(channels=4, dropout=0.5).train()
    multiply_adds(net, 1)
    assert all(module.training for module in net.modules())


def test_frozen_parameters_are_counted() -> None:
    net = Autoencoder()
    assert count_parameters(net) == 1_110_403
    net.tail.requires_grad_(False)
    assert count_parameters(net) == 1_110_403


def test_of_several_gpus_the_one_that_is_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"GPU {device.index if device else 0}")
    assert environment(torch.device("cuda:1")).machine["gpu"] == "GPU 1"
    assert environment(torch.device("cpu")).machine["gpu"] == environment().machine["gpu"] == "GPU 0"


def test_environment_records_what_a_rerun_needs() -> None:
    recorded = environment()
    assert recorded.versions["sr"] == sr.__version__
    assert recorded.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]  # without the build tag
    assert recorded.machine["threads"] == torch.get_num_threads()
    assert recorded.git_commit is None or len(recorded.git_commit.removesuffix("-dirty")) == 40
    assert peak_memory_bytes(torch.device("cpu")) > 10**7


def test_a_modified_source_tree_is_recorded_as_dirty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        argv = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    source = tmp_path / "environment.py"
    source.write_text("a = 1\n")
    monkeypatch.setattr(environment_module, "__file__", str(source))
    git("init", "-q")
    assert environment_module._git_commit() is None  # not tracked: as a package installed inside another repository
    git("add", ".")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert environment_module._git_commit() == commit
    source.write_text("a = 2\n")
    assert environment_module._git_commit() == f"{commit}-dirty"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak")
def test_peak_memory_is_that_since_the_reset() -> None:
    device = torch.device("cpu")
    block = bytearray(200_000_000)
    block[::4096] = b"x" * len(block[::4096])
    del block
    assert peak_memory_bytes(device) > 200_000_000
    reset_peak_memory(device)
    before = peak_memory_bytes(device)
    block = bytearray(100_000_000)
    block[::4096] = b"x" * len(block[::4096])
    del block
    assert 90_000_000 < peak_memory_bytes(device) - before < 150_000_000


def test_where_there_is_no_reset_the_peak_is_that_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "_RESET_PEAK", tmp_path / "missing" / "clear_refs")
    monkeypatch.setattr(cost, "_PROCESS_STATUS", tmp_path / "status")
    monkeypatch.setattr("resource.getrusage", lambda _: SimpleNamespace(ru_maxrss=7))
    reset_peak_memory(torch.device("cpu"))
    monkeypatch.setattr(sys, "platform", "freebsd14")
    assert peak_memory_bytes(torch.device("cpu")) == 7 * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert peak_memory_bytes(torch.device("cpu")) == 7
