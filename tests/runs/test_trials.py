"""Which trials of a search have to see the same images."""

from pathlib import Path
from typing import Any

import pytest

from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.io.tables import write_table
from sr.runs.migration import with_added_options
from sr.runs.record import check_same_images
from sr.runs.schema import Status
from sr.runs.trials import another_trial
from tests.support.run_folders import RunFolders, config


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search whose first trial failed, and whose second one trained fold 0 of some images."""
    monkeypatch.setenv("OPTUNA_PLACE", "here")
    write = RunFolders(tmp_path)
    for number, status in enumerate((Status.FAILED, Status.DONE)):
        settings = config(0, root="/images", batch_size=4)
        run = write(f"trial_000{number}_adam", [0.5], folds=None, config=settings, status=status)
        write_table(RunFolder(run).split, [{"name": "a", "part": "val", "hash": "1"}])
        run.rename(tmp_path / f"trial_000{number}")
    return tmp_path


@pytest.mark.parametrize(
    ("data", "is_compared"),
    [
        ({}, True),
        ({"batch_size": 8}, True),
        ({"root": "/others"}, False),
        ({"fold": 1}, False),
        ({"shrink": 3}, False),
    ],
    ids=str,
)
def test_trials_are_compared_if_their_options_of_the_images_are_the_same(
    search: Path, data: dict[str, Any], is_compared: bool
) -> None:
    settings = with_added_options(config(**{"fold": 0, "root": "/images", "batch_size": 4, **data}))
    found = another_trial(search / "trial_0002", settings)
    assert found == ([RunFolder(search / "trial_0001")] if is_compared else [])


def test_outside_a_search_nothing_is_compared(search: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = with_added_options(config(0, root="/images", batch_size=4))
    assert another_trial(search / "seed_1", settings) == []
    monkeypatch.delenv("OPTUNA_PLACE")
    assert another_trial(search / "trial_0002", settings) == []


def test_the_way_out_is_one_that_a_search_has(search: Path) -> None:
    images = [{"name": "b", "part": "val", "hash": "1"}]
    others = [RunFolder(search / "trial_0001")]
    with pytest.raises(UserError, match=r"1 added \(b\), 1 removed \(a\): restore .*hydra.sweep.dir\)$"):
        check_same_images(search / "trial_0002", images, None, is_resumed=False, others=others)
