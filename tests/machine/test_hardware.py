import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from sr import image
from sr.errors import UserError
from sr.machine import hardware
from sr.machine.hardware import compile_from, device_in_turn, precision
from sr.nets.vdsr import VDSR
from tests.support.runs import Command, MakeFolder, result_of


def test_runs_of_a_sweep_take_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [device_in_turn("auto", number) for number in range(4)] == [[0], [1], [2], [0]]
    assert device_in_turn("cpu", 4) == 1
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert device_in_turn("gpu", 4) == 1


@pytest.mark.parametrize(("is_faster", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bfloat16_is_chosen_where_it_is_faster(monkeypatch: pytest.MonkeyPatch, is_faster: bool, expected: str) -> None:
    monkeypatch.setattr(hardware, "_bfloat16_pays", lambda: is_faster)
    assert precision("cpu") == expected
    assert precision("mps") == "32-true"


@pytest.mark.slow
def test_measuring_keeps_the_random_state_and_needs_the_bfloat16_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.get_rng_state()
    hardware._is_faster_in_bfloat16()
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert not hardware._bfloat16_pays.__wrapped__()


def test_a_machine_is_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured = []

    def measure() -> bool:
        measured.append(True)
        return True

    monkeypatch.setattr(hardware, "_MEASUREMENTS", tmp_path / "cache" / "bfloat16.json")
    monkeypatch.setattr(hardware, "_is_faster_in_bfloat16", measure)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "one", "avx512_bf16": True})
    assert hardware._bfloat16_pays.__wrapped__()
    assert hardware._bfloat16_pays.__wrapped__()
    assert len(measured) == 1
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "other", "avx512_bf16": True})
    assert hardware._bfloat16_pays.__wrapped__()
    assert len(measured) == 2
    (tmp_path / "cache" / "bfloat16.json").write_text("damaged")
    assert hardware._bfloat16_pays.__wrapped__()
    assert len(measured) == 3


def test_workers_started_together_measure_once_and_decide_alike(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measurements = iter([True, False, False, False])

    def measure() -> bool:
        is_faster = next(measurements)
        time.sleep(0.3)  # the others start meanwhile
        return is_faster

    monkeypatch.setattr(hardware, "_MEASUREMENTS", tmp_path / "bfloat16.json")
    monkeypatch.setattr(hardware, "_is_faster_in_bfloat16", measure)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "one", "avx512_bf16": True})
    with ThreadPoolExecutor(4) as pool:
        decisions = list(pool.map(lambda _: hardware._bfloat16_pays.__wrapped__(), range(4)))
    assert decisions == [True] * 4


@pytest.mark.slow
def test_a_resumed_run_keeps_its_precision(
    command: Command, make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("data=isr", f"data.root={make_folder(count=12)}", "trainer.precision=auto", "trainer.max_epochs=1")
    monkeypatch.setattr(hardware, "_bfloat16_pays", lambda: True)
    assert command(*arguments)[0] == 0
    result = result_of(tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text(json.dumps({**result, "status": "interrupted"}))
    monkeypatch.setattr(hardware, "_bfloat16_pays", lambda: False)
    assert command(*arguments)[0] == 0
    assert result_of(tmp_path / "run")["precision"] == "bf16-mixed"
    assert command(*arguments, "retrain=true")[0] == 0
    assert result_of(tmp_path / "run")["precision"] == "32-true"


def test_only_gpus_compile_unless_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_resize_dim", image._resize_dim)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert compile_from("auto", "cpu") is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert compile_from("auto", "auto") is None
    assert compile_from(False, "cpu") is None
    assert compile_from(True, "cpu") == 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert compile_from("auto", "gpu") == hardware._WORTH_COMPILING
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert compile_from("auto", "gpu") is None
    with pytest.raises(UserError, match=r"trainer\.compile=true needs a C\+\+ compiler"):
        compile_from(True, "gpu")
    with pytest.raises(UserError, match=r"trainer\.compile must be one of auto, True, False"):
        compile_from("maybe", "cpu")


def test_resizing_is_kept_out_of_compiled_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_resize_dim", image._resize_dim)
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    net = VDSR(scale=2, num_blocks=2, channels=4)
    torch.nn.init.normal_(net.tail.weight)
    lr = torch.rand(1, 3, 12, 16)
    image.keep_out_of_graphs()
    torch.testing.assert_close(torch.compile(net, backend=backend)(lr), net(lr))
    assert len(graphs) == 1
    torch.compiler.reset()


def test_a_run_compiles_its_training_steps_on_request(
    command: Command, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    def compile_nothing(function: Callable[..., object]) -> Callable[..., object]:
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compile_nothing)
    monkeypatch.setattr(image, "_resize_dim", image._resize_dim)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    arguments = ("data=isr", f"data.root={make_folder(count=12)}", "trainer.max_epochs=1")
    assert command(*arguments, "trainer.compile=true")[0] == 0
    assert len(compiled) == 1
    assert command(*arguments, folder="other")[0] == 0
    assert len(compiled) == 1


@pytest.mark.parametrize("name", ["cc", "c++", "gcc", "g++", "clang", "clang++", "cl"])
def test_any_compiler_serves(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(image, "_resize_dim", image._resize_dim)
    monkeypatch.setattr(shutil, "which", lambda command: f"/bin/{name}" if command == name else None)
    assert compile_from(True, "cpu") == 0


@pytest.mark.parametrize("accelerator", ["auto", "gpu", "cuda"])
def test_a_gpu_is_used_however_it_is_named(monkeypatch: pytest.MonkeyPatch, accelerator: str) -> None:
    monkeypatch.setattr(image, "_resize_dim", image._resize_dim)
    monkeypatch.setattr(shutil, "which", lambda command: f"/bin/{command}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert compile_from("auto", accelerator) == hardware._WORTH_COMPILING
    assert precision(accelerator) == "bf16-mixed"
    assert device_in_turn(accelerator, 3) == [1]


@pytest.mark.parametrize(
    ("capabilities", "measures"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False), ({}, False)],
)
def test_only_processors_with_bfloat16_instructions_are_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capabilities: dict[str, bool], measures: bool
) -> None:
    monkeypatch.setattr(hardware, "_MEASUREMENTS", tmp_path / "bfloat16.json")
    monkeypatch.setattr(hardware, "_is_faster_in_bfloat16", lambda: True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "one", **capabilities})
    assert hardware._bfloat16_pays.__wrapped__() is measures
    assert (tmp_path / "bfloat16.json").is_file() is measures
