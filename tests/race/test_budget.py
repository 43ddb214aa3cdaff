from pathlib import Path
from typing import Any

import pytest

from sr.errors import UserError
from sr.race.budget import Budget, Ledger, Unit
from tests.support.run_folders import RunFolders, config


@pytest.mark.parametrize("text", ["", "0", "-1h", "2 weeks", "1.5", "h", "1e400h5"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--budget must be a time"):
        Budget.parse(text)


def test_the_ledger_counts_over_starts(tmp_path: Path) -> None:
    write = RunFolders(tmp_path)
    done = write("a_mse_adam_seed24", [1.0, 1.0], folds=None, seconds=40.0)
    Ledger(tmp_path).add([done, tmp_path / "b_mse_adam_seed24"])
    Ledger(tmp_path).add([done])
    ledger = Ledger(tmp_path)
    assert ledger.trainings == ["a_mse_adam_seed24", "b_mse_adam_seed24"]
    assert ledger.spent(Unit.SECONDS) == 40.0
    assert ledger.spent(Unit.TRAININGS) == 2
    (tmp_path / "decide.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        Ledger(tmp_path)


def test_multiply_adds_of_a_training(tmp_path: Path) -> None:
    write = RunFolders(tmp_path)
    cost: dict[str, Any] = {"multiply_adds": 1000, "images_seen": 8}
    crops = write("a_mse_adam", [1.0], folds=None, config=config(0, patch=128), **cost)
    whole = write("b_mse_adam", [1.0], folds=None, config=config(0, patch=None), **cost)
    ledger = Ledger(tmp_path)
    ledger.add([crops])
    assert ledger.spent(Unit.MULTIPLY_ADDS) == 3 * 1000 * 8 / 4
    folds = write("c_mse_adam", [1.0, 1.0], folds=(0, 1), config=config("all", patch=128), **cost)
    ledger.add([folds])
    assert ledger.spent(Unit.MULTIPLY_ADDS) == 3 * (3 * 1000 * 8 / 4)
    ledger.add([whole])
    with pytest.raises(UserError, match="known only of crops"):
        ledger.spent(Unit.MULTIPLY_ADDS)
