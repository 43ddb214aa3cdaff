"""Limits of control groups, in the files that Linux documents."""

from pathlib import Path

import pytest
import torch

from sr.machine import memory
from sr.machine.hardware import free_memory

GIB = 1 << 30


def group(folder: Path, values: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in values.items():
        (folder / name).write_text(text)


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own")
    return tmp_path / "groups"


def test_the_least_limit_of_all_groups_counts(groups: Path, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/jobs/step\n")
    stat = {"memory.stat": f"anon 5\ninactive_file {GIB // 4}\n"}
    group(groups / "jobs" / "step", {"memory.max": "max\n", "memory.current": "7\n", **stat})
    group(groups / "jobs", {"memory.max": f"{GIB}\n", "memory.current": f"{GIB // 2}\n", **stat})
    assert memory.total_memory() == GIB
    assert memory.available_memory() == GIB - GIB // 4


def test_limits_of_the_first_version_count(groups: Path, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("5:cpu,cpuacct:/\n4:memory:/docker/a\n")
    values = {
        "memory.limit_in_bytes": f"{GIB}",
        "memory.usage_in_bytes": "100",
        "memory.stat": "total_inactive_file 40\n",
    }
    group(groups / "memory", values)  # a container sees its own group as the root
    assert memory.total_memory() == GIB
    assert memory.available_memory() == GIB - 60


def test_free_memory_is_that_which_the_system_says_is_available(
    groups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_OF_MACHINE", tmp_path / "meminfo")
    assert memory.available_memory() == GIB
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:    2048 kB\n")
    assert free_memory(torch.device("cpu")) == 2048 * 1024


@pytest.mark.parametrize("text", [None, "0::/\n", "3:cpu:/\n"])
def test_without_a_limit_it_is_that_of_the_machine(groups: Path, tmp_path: Path, text: str | None) -> None:
    if text:
        (tmp_path / "own").write_text(text)
    assert memory.total_memory() >= memory.available_memory() > GIB // 8
