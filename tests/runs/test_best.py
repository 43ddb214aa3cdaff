import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sr
from sr.cli import main
from sr.errors import UserError
from sr.io.run_folder import RunFolder
from sr.runs.best import best_cell, is_sweep, model_path
from sr.runs.schema import Monitor, Status, read_result, write_result
from sr.terms import Protocol
from tests.support.run_folders import RunFolders, config, data


class Sweep:
    """Writes the cells of a sweep in ``grid``."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "grid"
        self._write = RunFolders(self.folder)

    def __call__(self, name: str, value: float | None, gain: float = 0.5, score: str = "val/psnr", **more: Any) -> Path:
        """A finished cell with a checkpoint and a monitored score; ``more`` replaces fields of its record."""
        run = RunFolder(self._write(name, [gain] * 4, folds=None, **{"monitor": Monitor(score, value), **more}))
        run.checkpoints.mkdir()
        run.best.touch()
        return run.path


@pytest.fixture
def cell(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


def test_the_best_cell_of_a_sweep_is_used_and_said_aloud(cell: Sweep, caplog: pytest.LogCaptureFixture) -> None:
    cell("espcn_mse_adam", 29.5)
    best = cell("vdsr_mae_adam", 29.651)
    cell("espcn_vgg_adam", 29.6)
    assert model_path(str(cell.folder)) == str(best)
    assert caplog.messages == [f"{cell.folder}: its best cell, vdsr_mae_adam, val/psnr 29.65 dB (best of 3)"]


def test_a_score_that_is_minimised_is_best_where_it_is_lowest(cell: Sweep) -> None:
    for name, value in (("a_mse_adam", 0.4), ("b_mse_adam", 0.2), ("c_mse_adam", 0.3)):
        cell(name, value, score="val/lpips", config=config() | {"mode": "min"})
    best = best_cell(cell.folder)
    assert best.folder.name == "b_mse_adam"
    assert best.description.endswith("val/lpips 0.2000 (best of 3)")


def test_of_equal_cells_the_smallest_is_taken_then_the_first_by_name(cell: Sweep) -> None:
    cell("a_mse_adam", 29.5, parameters=9)
    cell("c_mse_adam", 29.5, parameters=7)
    cell("b_mse_adam", 29.5, parameters=7)
    assert best_cell(cell.folder).folder.name == "b_mse_adam"


def test_unfinished_cells_are_left_out_and_counted(cell: Sweep) -> None:
    cell("a_mse_adam", 29.5)
    for name, status in (("b_mse_adam", Status.FAILED), ("c_mse_adam", Status.PRUNED), ("d_mse_adam", Status.FAILED)):
        cell(name, 99.0, status=status)
    best = best_cell(cell.folder)
    assert best.folder.name == "a_mse_adam"
    assert best.description.endswith("(best of 1; 2 failed left out; 1 pruned left out)")
    assert best.problems == []


def test_damaged_cells_and_those_without_weights_or_score_are_left_out_with_a_line_each(
    cell: Sweep, caplog: pytest.LogCaptureFixture
) -> None:
    cell("a_mse_adam", 29.5)
    damaged, weightless = cell("b_mse_adam", 99.0), cell("c_mse_adam", 99.0)
    never, tableless = cell("d_mse_adam", None), cell("e_mse_adam", 99.0)
    RunFolder(damaged).result.write_text("{")
    RunFolder(weightless).best.unlink()
    RunFolder(tableless).images.unlink()
    assert Path(model_path(str(cell.folder))).name == "a_mse_adam"
    first, *lines, last = caplog.messages
    assert first.startswith(f"{damaged / 'result.json'}: is damaged (")
    assert lines == [
        f"{weightless}: is done, but its weights are missing",
        f"{never}: was never validated",
        f"{tableless / 'images.csv'}: cannot be read",
    ]
    assert last.endswith("(best of 1; 1 damaged left out; 3 unusable left out)")


def test_a_best_cell_that_loses_to_its_input_is_said_to(cell: Sweep, caplog: pytest.LogCaptureFixture) -> None:
    best = cell("a_mse_adam", 27.7, gain=-0.01)
    cell("b_mse_adam", 27.0, gain=-0.5)
    model_path(str(cell.folder))
    assert caplog.messages[1:] == [f"WARNING: {best} does not beat its input on the validation images"]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"protocol": Protocol.Y}, "protocol (rgb, y)"),
        ({"scale": 2}, "scale (1, 2)"),
        ({"monitor": Monitor("val/ssim", 0.9)}, "monitor (val/psnr, val/ssim)"),
        ({"config": config() | {"mode": "min"}}, "mode (max, min)"),
        ({"config": config(shrink=4)}, "data.shrink (2, 4)"),
        ({"data": data(4, fingerprint="f" * 16)}, "validation images"),
        ({"names": "abce"}, "validation images"),
        ({"scale": 2, "names": "abce"}, "scale (1, 2) and validation images"),
    ],
)
def test_cells_whose_scores_are_no_measure_of_the_same_are_not_ranked(
    cell: Sweep, changes: dict[str, Any], difference: str
) -> None:
    cell("a_mse_adam", 29.5)
    cell("b_mse_adam", **{"value": 29.6, **changes})
    with pytest.raises(UserError) as refusal:
        best_cell(cell.folder)
    names = f"{cell.folder / 'a_mse_adam'}, {cell.folder / 'b_mse_adam'}"
    assert str(refusal.value) == (
        f"{cell.folder}: its cells cannot be ranked, they differ in {difference}: name one, such as {names}"
    )


def test_data_shrink_does_not_matter_where_the_input_is_not_shrunk_by_it(cell: Sweep) -> None:
    cell("a_mse_adam", 29.5, scale=2)
    cell("b_mse_adam", 29.6, scale=2, config=config(shrink=4))
    assert best_cell(cell.folder).folder.name == "b_mse_adam"


def test_a_sweep_without_a_finished_cell_is_refused(cell: Sweep) -> None:
    run = cell("a_mse_adam", 29.5)
    result = read_result(run)
    assert result
    write_result(run, replace(result, status=Status.DIVERGED))
    with pytest.raises(UserError, match=r"grid: has no finished cell to use; 1 diverged left out$"):
        model_path(str(cell.folder))
    write_result(run, replace(result, monitor=Monitor("val/psnr", math.nan)))
    with pytest.raises(UserError, match=r"; 1 unusable left out; .*a_mse_adam: was never validated$"):
        model_path(str(cell.folder))


def test_runs_folds_checkpoints_and_shipped_names_stand_for_themselves(
    cell: Sweep, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = cell("a_mse_adam", 29.5)
    fold = RunFolders(run)("fold_0_x", [0.5]).rename(run / "fold_0")
    (tmp_path / "empty").mkdir()
    for name in (run, fold, RunFolder(run).best, tmp_path / "empty", "espcn_x2", "nowhere"):
        assert model_path(str(name)) == str(name)
    RunFolder(run).result.unlink()  # weights that were copied without their record
    assert not is_sweep(run)
    assert not caplog.messages


def test_a_sweep_may_lie_deeper_and_its_folds_are_no_cells(cell: Sweep, tmp_path: Path) -> None:
    run = cell("deep/a_mse_adam", 29.5)
    RunFolders(run)("fold_0_x", [9.0], monitor=Monitor("val/psnr", 99.0)).rename(run / "fold_0")
    best = best_cell(tmp_path)
    assert best.folder == run
    assert "its best cell, grid/deep/a_mse_adam, " in best.description


def test_export_and_load_take_the_folder_of_a_sweep(cell: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    run = cell("a_mse_adam", 29.5)
    cell("b_mse_adam", 29.4)
    exported: list[Path] = []

    def export(file: Path, output: Path, scale: int | None) -> float:
        exported.append(file)
        return 0.0

    monkeypatch.setattr("sr.weights.onnx.exported.export", export)
    main(["export", str(cell.folder), "-o", "net.onnx"])
    assert exported == [RunFolder(run).best]
    loaded: list[str] = []
    monkeypatch.setattr("sr.weights.find.find_model", lambda name, scale, hints: loaded.append(name))
    monkeypatch.setattr("sr.inference.enlarger.Enlarger", lambda model, **options: model)
    sr.load(str(cell.folder))
    assert loaded == [str(run)]
