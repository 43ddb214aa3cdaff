"""Runs that start from weights."""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from sr.io.hashes import file_hash
from sr.io.run_folder import RunFolder
from sr.runs.initial import check_held_out
from sr.runs.schema import RunResult, read_result
from sr.weights.checkpoint import load_network
from tests.support.runs import Command, MakeFolder, StopAt

TINY = ["model.channels=8", "data=folder", "trainer.max_epochs=1", "data.train_scored=0"]
STOP = "+callbacks.stop={_target_: tests.support.runs.StopAt, step: 1}"
BODY = ["body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias"]


def record(folder: Path) -> RunResult:
    result = read_result(folder)
    assert result is not None
    return result


def state(path: Path, part: str = "state_dict") -> dict[str, torch.Tensor]:
    tensors: dict[str, Any] = torch.load(path, weights_only=True)[part]
    return {name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")}


@pytest.fixture
def source(command: Command, make_folder: MakeFolder, tmp_path: Path) -> RunFolder:
    """A run of x2 with 2 steps on the folder ``data``."""
    root = make_folder()
    code, text = command(*TINY, f"data.root={root}", "scale=2", folder="x2")
    assert code == 0, text
    return RunFolder(tmp_path / "x2")


@pytest.fixture
def settings(source: RunFolder, tmp_path: Path) -> list[str]:
    """Options of a run of x3 that starts from `source`."""
    return [*TINY, f"data.root={tmp_path / 'data'}", "scale=3", "data.patch=36", f"init={source.path}"]


def test_origin_hash_steps_and_tensors_of_the_weights_are_recorded(
    command: Command, settings: list[str], source: RunFolder, tmp_path: Path
) -> None:
    code, text = command(*settings, "init_freeze=body.0.*,tail.none*", folder="refused")
    assert code == 2, text
    assert "no parameter is called 'tail.none*'" in text
    code, text = command(*settings)
    assert code == 0, text
    assert (
        f"init={source.path}: 4 of 6 tensors loaded; start anew: tail.weight (27x4x3x3, there 12x4x3x3), "
        "tail.bias (27, there 12)\n" in text
    )
    assert f"(mse, init={source.path})" in text
    assert "WARNING: init" not in text  # the split is the same
    result = record(tmp_path / "run")
    best_steps = torch.load(source.best, weights_only=True)["global_step"]
    initial = result.initial
    assert initial is not None
    assert (initial.source, initial.weights_hash) == (str(source.path), file_hash(source.best))
    assert (initial.steps, initial.loaded, initial.frozen) == (best_steps, 4, [])
    assert initial.fresh == ["tail.weight", "tail.bias"]
    assert result.total_steps == best_steps + result.steps
    assert (result.steps, result.images_seen) == (2, 7)
    assert record(source.path).initial is None

    generation = [*TINY, f"data.root={tmp_path / 'data'}", "scale=3", "data.patch=36", f"init={tmp_path / 'run'}"]
    assert command(*generation, folder="third")[0] == 0
    third = record(tmp_path / "third")
    assert third.initial is not None
    assert (third.initial.steps, third.initial.fresh) == (best_steps + result.steps, [])
    assert load_network(RunFolder(tmp_path / "third").last)[1]["steps"] == third.total_steps


def test_weights_that_do_not_fit_in_every_tensor_are_refused_if_so_asked(
    command: Command, settings: list[str], source: RunFolder, tmp_path: Path
) -> None:
    code, text = command(*settings, "init_strict=true")
    assert code == 2, text
    assert text.strip() == (
        f"error: init_strict: {source.best} does not fit this network: "
        "tail.weight (27x4x3x3, there 12x4x3x3), tail.bias (27, there 12)"
    )
    assert not (tmp_path / "run").exists()
    code, text = command(*settings, "scale=2", "init_strict=true")
    assert code == 0, text
    assert "6 of 6 tensors loaded\n" in text


def test_fresh_layers_are_not_frozen(command: Command, settings: list[str]) -> None:
    code, text = command(*settings, "init_freeze=[tail.*]")
    assert code == 2, text
    assert "init_freeze: tail.weight starts anew (27x4x3x3, there 12x4x3x3): it has to be trained" in text


def test_frozen_parameters_keep_every_bit_under_weight_decay_and_averaging_also_when_resumed(
    command: Command, settings: list[str], source: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "moved.ckpt"
    shutil.copy(source.best, weights)
    original, weights_hash = state(weights), file_hash(weights)
    decayed = ["optimizer=adamw", "optimizer.weight_decay=0.5", "optimizer.lr=0.01", "callbacks=ema"]
    options = [*settings, f"init={weights}", "init_freeze=[body.0.*]", *decayed, STOP]
    code, text = command(*options, interrupted=True)
    assert code == 130, text
    weights.unlink()  # a checkpoint needs it no longer
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*options)
    assert code == 0, text
    assert "resuming from" in text
    assert "tensors loaded" not in text
    last = RunFolder(tmp_path / "run").last
    for part in ("state_dict", "current_model_state"):
        values = state(last, part)
        assert all(torch.equal(values[name], original[name]) for name in BODY[:2])
        assert not torch.equal(values["body.2.weight"], original["body.2.weight"])
    result = record(tmp_path / "run")
    assert result.initial is not None
    assert (result.initial.weights_hash, result.initial.frozen) == (weights_hash, BODY[:2])
    assert result.parameters == sum(value.numel() for value in state(last).values())


def test_a_network_that_learns_nothing_ends_as_the_weights_and_their_average_that_it_started_from(
    command: Command, settings: list[str], source: RunFolder, tmp_path: Path
) -> None:
    code, text = command(*settings, "scale=2", "optimizer.lr=0", "callbacks=ema")
    assert code == 0, text
    last, original = RunFolder(tmp_path / "run").last, state(source.best)
    for part in ("state_dict", "current_model_state"):
        assert all(torch.equal(value, original[name]) for name, value in state(last, part).items())
    first, ours = record(source.path).monitor, record(tmp_path / "run").monitor
    assert first is not None
    assert ours is not None
    assert ours.value == pytest.approx(first.value, abs=1e-5)


def test_a_run_without_a_checkpoint_starts_again_from_the_file_as_it_is_now(
    command: Command, settings: list[str], source: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "moved.ckpt"
    shutil.copy(source.best, weights)
    options = [*settings, f"init={weights}", STOP]
    assert command(*options, interrupted=True)[0] == 130
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    content = torch.load(weights, weights_only=True)
    content["state_dict"]["net.body.0.bias"] += 1
    torch.save(content, weights)
    monkeypatch.setattr(StopAt, "on_train_batch_end", lambda *args: None)
    code, text = command(*options)
    assert code == 0, text
    initial = record(tmp_path / "run").initial
    assert initial is not None
    assert initial.weights_hash == file_hash(weights) != file_hash(source.best)


def test_a_run_begun_before_there_was_the_option_is_recognised(
    command: Command, source: RunFolder, tmp_path: Path
) -> None:
    content = json.loads(source.result.read_text())
    for name in ("init", "init_strict", "init_freeze"):
        del content["config"][name]
    for name in ("initial", "images_seen"):
        del content[name]
    source.result.write_text(json.dumps(content))
    root = tmp_path / "data"
    code, text = command(*TINY, f"data.root={root}", "scale=2", folder="x2")
    assert code == 0, text
    assert "done before, nothing to train" in text


@pytest.mark.slow
def test_a_sweep_stands_for_its_best_cell(
    settings: list[str], source: RunFolder, command: Command, tmp_path: Path
) -> None:
    shutil.move(source.path, tmp_path / "sweep" / "cell")
    code, text = command(*settings[:-1], f"init={tmp_path / 'sweep'}")
    assert code == 0, text
    assert text.count("its best cell, cell, val/psnr") == 1
    initial = record(tmp_path / "run").initial
    assert initial is not None
    assert initial.weights_hash == file_hash(RunFolder(tmp_path / "sweep" / "cell").best)


def test_held_out_images_that_the_weights_were_trained_on_are_counted_and_named(
    command: Command, settings: list[str], source: RunFolder, tmp_path: Path
) -> None:
    renamed = tmp_path / "renamed"
    shutil.copytree(tmp_path / "data", renamed)
    for number in range(10):
        (renamed / "high_res" / f"{number}.png").rename(renamed / "high_res" / f"{9 - number}_.png")
    code, text = command(*settings, f"data.root={renamed}", "data.split_seed=5", folder="leaky")
    assert code == 0, text
    parts = {row["name"]: row["part"] for row in rows(source)}
    held_out = sorted(row["name"] for row in rows(RunFolder(tmp_path / "leaky")) if row["part"] != "train")
    seen = [name for name in held_out if parts[str(9 - int(name.rstrip("_")))] == "train"]
    assert 0 < len(seen) <= 3 == len(held_out)
    assert (
        f"WARNING: init={source.path}: its weights were trained on {len(seen)} of the 3 validation and test images of "
        f"this run ({', '.join(seen)}): the scores will be too good\n" in text
    )
    # Its own run did not train on these, but the run did that it started from.
    options = [*settings, f"data.root={renamed}", "data.split_seed=5", f"init={tmp_path / 'leaky'}"]
    code, text = command(*options, folder="third")
    assert code == 0, text
    assert f"its weights were trained on {len(seen)} of the 3" in text


def rows(run: RunFolder) -> list[dict[str, str]]:
    lines = run.split.read_text().splitlines()
    return [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]


@pytest.mark.parametrize("table", [None, "name,part\na,train\n", "\udcff\udcfe", 'name,part,hash\n"' + "a" * 140_000])
def test_weights_whose_images_are_not_known_are_said_to_be_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, table: str | None
) -> None:
    run = RunFolder(tmp_path)
    run.checkpoints.mkdir()
    run.best.touch()
    if table is not None:
        run.split.write_bytes(os.fsencode(table))
    images = [{"name": "a", "part": "val", "hash": "1", "hr_hash": "2"}]
    caplog.set_level(logging.INFO)
    check_held_out({"init": str(run.path)}, run.best, images)
    monkeypatch.chdir(run.checkpoints)
    check_held_out({"init": "best.ckpt"}, Path("best.ckpt"), images)
    assert caplog.text.count("which images its weights were trained on is not recorded") == 2


@pytest.mark.slow
def test_folds_start_from_the_same_folds_of_a_run_that_was_split_in_the_same_way(
    command: Command, make_folder: MakeFolder, tmp_path: Path
) -> None:
    shared = [*TINY, f"data.root={make_folder()}", "data.folds=2", "data.fold=all"]
    source = RunFolder(tmp_path / "cv")
    assert command(*shared, "scale=2", folder="cv")[0] == 0
    from_folds = [*shared, "scale=3", "data.patch=36", f"init={source.path}"]
    code, text = command(*from_folds, folder="same")
    assert code == 0, text
    assert "WARNING: init" not in text
    for fold in range(2):
        initial = record(tmp_path / "same" / f"fold_{fold}").initial
        assert initial is not None
        assert initial.weights_hash == file_hash(source.fold(fold).best)
    joined, first = record(tmp_path / "same"), record(tmp_path / "same" / "fold_0")
    assert (joined.initial, joined.images_seen) == (first.initial, first.images_seen)
    code, text = command(*from_folds, "data.fold=1", folder="one")
    assert code == 0, text
    initial = record(tmp_path / "one").initial
    assert initial is not None
    assert initial.weights_hash == file_hash(source.fold(1).best)

    name_one = f": name one of them, such as init={source.fold(0).best}"
    code, text = command(*from_folds, "data.split_seed=99", folder="other")
    assert code == 2, text
    assert f"error: init={source.path}: its folds are not split as those of this run are{name_one}" in text
    for others in (["data.folds=3"], ["data.folds=null", "data.fold=0"]):
        code, text = command(*from_folds, *others, folder="other")
        assert code == 2, text
        holds = "holds 2 networks, of its folds, which are not those of this run"
        assert text.strip() == f"error: init={source.path}: {holds}{name_one}"
    assert not (tmp_path / "other").exists()
    shutil.move(source.path, source.path.with_name("seed_4"))  # as a cell with one seed of several
    shutil.copytree(source.path.with_name("seed_4"), source.path / "seed_4")
    code, text = command(*from_folds, folder="other")
    assert code == 2, text
    assert f"error: init={source.path}: holds 2 networks, of its seeds: name one of them" in text
    source = RunFolder(source.path / "seed_4")
    code, text = command(
        *from_folds, "data.split_seed=99", "data.fold=0", f"init={source.fold(1).best}", folder="named"
    )
    assert code == 0, text
    assert "its weights were trained on" in text
