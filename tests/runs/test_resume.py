import logging
from pathlib import Path

import pytest
import torch

from sr.callbacks.checkpoints import WholeCheckpointIO
from sr.io.tables import read_table, write_table
from sr.runs.resume import cut_step_tables, find_checkpoint

STATE: dict[str, object] = {
    name: {} for name in ("state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers", "random")
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with checkpoints after 3 and 5 steps."""
    for steps in (3, 5):
        state = {**STATE, "state_dict": {"weight": torch.rand(100)}, "global_step": steps}
        WholeCheckpointIO().save_checkpoint(state, tmp_path / "checkpoints" / "last.ckpt")
    return tmp_path


def test_the_last_checkpoint_is_used_with_the_previous_one_as_fallback(run: Path) -> None:
    assert find_checkpoint(run) == (run / "checkpoints" / "last.ckpt", 5)
    (run / "checkpoints" / "last.ckpt").unlink()  # as after a kill between two renames
    assert find_checkpoint(run) == (run / "checkpoints" / "previous.ckpt", 3)
    assert find_checkpoint(run / "checkpoints") is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_checkpoint_is_named_and_the_previous_one_is_used(
    run: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    last = run / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    weights = next(iter(torch.load(last, weights_only=True)["state_dict"].values()))
    content[content.index(weights.numpy().tobytes()) + 7] ^= 1  # torch would not notice
    damages: dict[str, bytes] = {
        "cut": bytes(content[:-100]),
        "flipped": bytes(content),
        "empty": b"",
        "foreign": b"hello",
    }
    last.write_bytes(damages[damage])
    with caplog.at_level(logging.WARNING):
        assert find_checkpoint(run) == (run / "checkpoints" / "previous.ckpt", 3)
    assert "last.ckpt: is torn (" in caplog.text
    (run / "checkpoints" / "previous.ckpt").write_bytes(damages[damage])
    assert find_checkpoint(run) is None


def test_a_checkpoint_without_training_state_is_not_resumed(run: Path) -> None:
    torch.save({"state_dict": {}, "global_step": 9}, run / "checkpoints" / "last.ckpt")
    assert find_checkpoint(run) == (run / "checkpoints" / "previous.ckpt", 3)


def test_steps_that_will_be_logged_again_are_removed_from_the_step_tables(tmp_path: Path) -> None:
    path = tmp_path / "steps" / "noon" / "metrics.csv"
    path.parent.mkdir(parents=True)
    write_table(path, [{"step": step, "lr": 0.1} for step in range(8)])
    cut_step_tables(tmp_path, 5)
    assert [row["step"] for row in read_table(path)] == ["0", "1", "2", "3", "4"]
