import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sr.io.run_folder import RunFolder
from sr.report.benchmarks import Benchmark, find_benchmarks
from sr.report.comparison import find_comparisons
from sr.report.page import FILES, write_report
from sr.report.run import Contender
from sr.report.sections import Settings, benchmark_section
from sr.report.statistics import Scope
from sr.runs.schema import Status
from tests.support.evaluations import SETS, write_evaluation
from tests.support.run_folders import RunFolders, config, data


def write_runs(run_folders: RunFolders, gains: Mapping[str, Mapping[str, float]]) -> None:
    """Runs of three seeds with evaluations by set, each seed evaluated by itself; seeds differ by 0.01 dB."""
    for model, by_set in gains.items():
        for seed in range(3):
            run = run_folders(f"{model}_mse_adam_seed{seed}", [0.5] * 4, folds=None, seed=seed)
            for name, gain in by_set.items():
                write_evaluation(run, name, {".": gain + 0.01 * (seed - 1)})


def benchmark_of(run_folders: RunFolders) -> Benchmark:
    (benchmark,) = find_benchmarks(find_comparisons([run_folders.root]).comparisons)
    return benchmark


def test_each_set_has_verdicts_on_exactly_its_images_and_all_sets_on_others_like_them(run_folders: RunFolders) -> None:
    write_runs(run_folders, {"vdsr": {"Set5": 1.0, "Urban": 1.0}, "espcn": {"Set5": 0.5, "Urban": 0.5}})
    section = benchmark_section(benchmark_of(run_folders), Settings())
    assert section.title == "scale 1, protocol y"
    assert [board.comparison.label for board in section.boards] == ["Set5, Urban", "Set5", "Urban"]
    assert [board.analysis.scope for board in section.boards] == [Scope.LIKE_THESE, Scope.THESE, Scope.THESE]
    joint, set5, _ = section.boards
    assert joint.comparison.title.startswith("Set5, Urban: 5 images, scale 1, protocol y, data ")
    assert joint.headline.startswith("vdsr is the best on photographs like these, by ")
    assert set5.headline.startswith("vdsr is the best on exactly these images, by ")
    rows = {row.name: row for row in joint.rows}
    # Five images: bases 30, 31 and 30, 31, 32, each 0.001 dB more than the one before.
    assert rows["vdsr"].psnr.mean == pytest.approx(30.8 + 1.0 + 0.0008)
    assert rows["vdsr"].psnr.sd == pytest.approx(0.01)
    assert rows["vdsr"].gain.mean == pytest.approx(1.0008)
    assert rows["espcn"].to_best is not None
    assert rows["espcn"].to_best.mean == pytest.approx(-0.5)
    assert section.notes == ["Leaving out any one set does not change which configurations may be the best."]


def test_degradations_of_a_set_are_never_put_together(run_folders: RunFolders) -> None:
    for model, gain in (("vdsr", 1.0), ("espcn", 0.5)):
        for seed in range(3):
            run = run_folders(f"{model}_mse_adam_seed{seed}", [0.5] * 4, folds=None, seed=seed)
            for data_set, degradation in (("Set5", "bicubic"), ("Set5", "photo"), ("Urban", "photo")):
                write_evaluation(
                    run,
                    f"{data_set} ({degradation})",
                    {".": gain + 0.01 * seed},
                    names=SETS[data_set],
                    **{"data_set": data_set, "degradation": degradation, "degraded_by": f"{degradation}()"},
                )
    section = benchmark_section(benchmark_of(run_folders), Settings())
    assert [board.comparison.label for board in section.boards] == [
        "Set5 (photo), Urban (photo)",
        "Set5 (bicubic)",
        "Set5 (photo)",
        "Urban (photo)",
    ]
    assert section.notes == ["Leaving out any one set does not change which configurations may be the best."]


def test_a_network_trained_on_another_degradation_than_a_file_of_weights_says_so(run_folders: RunFolders) -> None:
    node = {"_target_": "sr.data.degrade.photo.Photo"}
    run = run_folders("espcn_mse_adam", [0.5] * 4, folds=None, config=config(0, degrade=node))
    write_evaluation(run, "Set5", {".": 1.0}, trained_on="photo()")
    contents = find_comparisons([run_folders.root])
    assert [entry.name for entry in benchmark_of(run_folders).sets[0].configurations] == ["espcn, mse, adam"]
    evaluation = replace(contents.comparisons[0].runs[0].evaluations[0], trained_on="bicubic()", folder=Path("x2"))
    weights = Contender("espcn_x2", Path("x2"), (evaluation,), is_pictures=False)
    (benchmark,) = find_benchmarks(contents.comparisons, [weights])
    assert benchmark.sets[0].configurations[0].name == "espcn, mse, adam, degrade=photo"


def test_a_result_that_rests_on_one_set_is_said(run_folders: RunFolders) -> None:
    write_runs(run_folders, {"vdsr": {"Set5": 0.2, "Urban": 1.0}, "espcn": {"Set5": 0.6, "Urban": 0.6}})
    notes = benchmark_section(benchmark_of(run_folders), Settings()).notes
    assert "Without Urban, espcn may be the best." in notes
    assert "Without Set5, vdsr may be the best." in notes


def test_the_trainings_of_a_cell_are_told_apart_and_count_once(run_folders: RunFolders) -> None:
    run = run_folders("espcn_mse_adam", [0.5] * 4, folds=None)
    write_evaluation(run, "Set5", {"seed_1": 0.4, "seed_2": 0.6})
    write_evaluation(run, "Set5", {"seed_2": 0.6})
    other = run_folders("vdsr_mse_adam", [0.5] * 4, folds=None)
    write_evaluation(other, "Set5", {"fold_0": 0.9, "fold_1": 1.0, "fold_2": 1.1})
    (comparison,) = benchmark_of(run_folders).sets
    trainings = {
        entry.name: [training.folders[0].name for training in entry.runs] for entry in comparison.configurations
    }
    assert trainings == {"espcn": ["seed_1", "seed_2"], "vdsr": ["fold_0", "fold_1", "fold_2"]}
    (board,) = benchmark_section(benchmark_of(run_folders), Settings()).boards
    assert [row.psnr.sd for row in board.rows[:2]] == pytest.approx([0.1, 0.02**0.5])


def test_overlapping_training_sets_widen_the_intervals(run_folders: RunFolders) -> None:
    """Nadeau & Bengio (2003): a mean over five folds has the variance of independent trainings times 1 + 5/4."""
    widths = []
    for folds in (None, (0, 1, 2, 3, 4)):
        root = RunFolders(run_folders.root / str(folds))
        for model, gain in {"vdsr": 1.0, "espcn": 0.5}.items():
            run = root(f"{model}_mse_adam", [0.5] * 5, folds=folds)
            write_evaluation(run, "Set5", {f"fold_{fold}": gain + 0.01 * fold for fold in range(5)})
        (board,) = benchmark_section(benchmark_of(root), Settings()).boards
        difference = board.rows[1].to_best
        assert difference is not None
        widths.append(difference.interval.high - difference.interval.low)
    assert widths[1] / widths[0] == pytest.approx(2.25**0.5)


def test_checkpoints_trained_once_have_no_verdict(run_folders: RunFolders) -> None:
    for model, gain in {"vdsr": 1.0, "espcn": 0.5}.items():
        write_evaluation(run_folders(f"{model}_mse_adam", [0.5] * 4, folds=None), "Urban", {".": gain})
    (board,) = benchmark_section(benchmark_of(run_folders), Settings()).boards
    assert board.analysis.scope is Scope.LIKE_THESE
    assert board.headline.startswith("No verdict on configurations: each was trained once.")
    assert board.in_other_scope == ""


def test_conditions_and_versions_of_a_set_are_never_mixed(run_folders: RunFolders) -> None:
    run = run_folders("espcn_mse_adam", [0.5] * 4, folds=None)
    write_evaluation(run, "Set5", {".": 0.5})
    write_evaluation(run, "Set5", {".": 0.6}, settings="+ x8")
    write_evaluation(run, "Set5", {".": 0.7}, protocol="rgb")
    write_evaluation(run, "Set5", {".": 0.8}, fingerprint="fedcba9876543210")
    benchmarks = find_benchmarks(find_comparisons([run_folders.root]).comparisons)
    labels = [[comparison.label for comparison in benchmark.sets] for benchmark in benchmarks]
    assert labels == [["Set5"], ["Set5 [Set5-012]", "Set5 [fedcba98]"], ["Set5 (x8)"]]
    assert [benchmark.sets[0].protocol for benchmark in benchmarks] == ["rgb", "y", "y"]


def test_configurations_trained_on_different_images_compete(run_folders: RunFolders) -> None:
    for fingerprint, gain in (("1" * 16, 0.5), ("2" * 16, 0.9)):
        run = run_folders(
            f"espcn_mse_adam_{fingerprint[0]}", [0.5] * 4, folds=None, data=data(4, fingerprint=fingerprint)
        )
        write_evaluation(run, "Set5", {".": gain})
    (comparison,) = benchmark_of(run_folders).sets
    assert [entry.name for entry in comparison.configurations] == [
        "espcn, mse, adam, data (images)=11111111",
        "espcn, mse, adam, data (images)=22222222",
    ]


def test_a_configuration_that_lacks_a_set_is_named(run_folders: RunFolders) -> None:
    both = {"Set5": 1.0, "Urban": 1.0}
    write_runs(run_folders, {"vdsr": both, "edsr": both, "espcn": {"Set5": 0.5}})
    write_evaluation(run_folders.root / "vdsr_mse_adam_seed0", "Hundred", {".": 1.0}, names=["a"])
    section = benchmark_section(benchmark_of(run_folders), Settings())
    assert section.notes[-1] == ("Not in the table of several sets, since not all of them were scored: espcn; Hundred.")
    boards = {board.comparison.label: len(board.comparison.configurations) for board in section.boards}
    assert boards == {"Set5, Urban": 2, "Hundred": 1, "Set5": 3, "Urban": 2}


def test_sets_that_no_two_configurations_share_have_no_table_together(run_folders: RunFolders) -> None:
    write_runs(run_folders, {"vdsr": {"Urban": 1.0}, "espcn": {"Set5": 0.5}})
    section = benchmark_section(benchmark_of(run_folders), Settings())
    assert [board.comparison.label for board in section.boards] == ["Set5", "Urban"]
    assert section.notes == []


def test_a_set_is_known_by_its_images_whatever_its_folder_is_called(run_folders: RunFolders) -> None:
    write_runs(run_folders, {"vdsr": {"Urban": 1.0}, "espcn": {}})
    for seed in range(3):
        run = run_folders.root / f"espcn_mse_adam_seed{seed}"
        write_evaluation(run, "Urban", {".": 0.5}, data="bench/Urban")
    (board,) = benchmark_section(benchmark_of(run_folders), Settings()).boards
    assert board.comparison.label == "Urban"
    assert len(board.comparison.configurations) == 2


def test_trainings_that_are_not_done_do_not_count(run_folders: RunFolders) -> None:
    write_runs(run_folders, {"vdsr": {"Urban": 1.0}, "espcn": {"Urban": 0.5}})
    cell = run_folders.root / "vdsr_mse_adam_seed0"
    part = RunFolders(cell)("vdsr_mse_adam", [0.5] * 4, folds=None, status=Status.FAILED)
    write_evaluation(cell, "Urban", {"vdsr_mse_adam": 9.0})
    section = benchmark_section(benchmark_of(run_folders), Settings())
    assert section.notes == [f"{part}: does not count, its training is not done."]
    assert [len(entry.runs) for entry in section.boards[0].comparison.configurations] == [3, 3]


def test_without_verdicts_the_note_on_sets_claims_none(run_folders: RunFolders) -> None:
    for model, gain in {"vdsr": 1.0, "espcn": 0.5}.items():
        run = run_folders(f"{model}_mse_adam", [0.5] * 4, folds=None)
        for name in SETS:
            write_evaluation(run, name, {".": gain})
    notes = benchmark_section(benchmark_of(run_folders), Settings()).notes
    assert notes == ["Leaving out any one set does not change which configuration has the highest mean."]


def test_several_seeds_of_folds_are_not_as_many_independent_trainings(run_folders: RunFolders) -> None:
    """Of F folds with S seeds a mean varies by 1/(F S) + 1/(F - 1) of a training, with F - 1 degrees of freedom."""
    for model, gain in {"vdsr": 1.0, "espcn": 0.5}.items():
        for seed in range(2):
            run = run_folders(f"{model}_mse_adam_seed{seed}", [0.5] * 4, folds=(0, 0, 1, 2), seed=seed)
            write_evaluation(run, "Set5", {f"fold_{fold}": gain + 0.01 * (fold + seed) for fold in range(3)})
    (board,) = benchmark_section(benchmark_of(run_folders), Settings()).boards
    variance = np.var([0.01 * (fold + seed) for fold in range(3) for seed in range(2)], ddof=1)
    parts = board.analysis.parts["psnr"]
    assert parts.training_df[:2].tolist() == [2, 2]
    estimate = board.analysis.against(board.analysis.best, "psnr")
    assert max(estimate.errors[:2]) == pytest.approx((2 * variance * (1 / 6 + 1 / 2)) ** 0.5)


def test_a_reference_without_scores_there_is_replaced_by_the_strongest_baseline(run_folders: RunFolders) -> None:
    write_runs(run_folders, {"vdsr": {"Set5": 1.0}, "espcn": {"Set5": 0.5}, "edsr": {}})
    (board,) = benchmark_section(benchmark_of(run_folders), Settings(reference="EDSR")).boards
    assert board.analysis.names[board.analysis.reference] == "input"
    (board,) = benchmark_section(benchmark_of(run_folders), Settings(reference="ESPCN")).boards
    assert board.analysis.names[board.analysis.reference] == "espcn"


def test_benchmarks_are_in_every_file_of_the_report(run_folders: RunFolders, tmp_path: Path) -> None:
    write_runs(run_folders, {"vdsr": {"Set5": 1.0, "Urban": 1.0}, "espcn": {"Set5": 0.5, "Urban": 0.5}})
    write_report([run_folders.root], json_file=tmp_path / "numbers.json", latex_folder=tmp_path)
    page, text, table = ((run_folders.root / name).read_text() for name in FILES)
    headline = "vdsr is the best on exactly these images, by "
    assert page.count(f'<p class="headline">{headline}') == text.count(f"**{headline}") == 2
    assert "Other data sets" not in page + text
    assert ",Set5,on exactly these images,y,1," in table
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    (benchmark,) = numbers["benchmarks"]
    assert [board["possible_bests"] for board in benchmark["tables"]] == [["vdsr"]] * 3
    assert r"\multicolumn{2}{c}{Urban}" in (tmp_path / "table.tex").read_text()


@pytest.mark.parametrize("lost", ["groups", "psnr"])
def test_an_image_without_a_score_is_a_damaged_file(run_folders: RunFolders, lost: str) -> None:
    run = run_folders("espcn_mse_adam", [0.5] * 4, folds=None)
    write_evaluation(run, "Set5", {".": 0.5})
    (path,) = RunFolder(run).evaluations.iterdir()
    (row,) = json.loads(path.read_text())
    (row["groups"] if lost == "groups" else row["trainings"]["."]["psnr"]).pop()
    path.write_text(json.dumps([row]))
    contents = find_comparisons([run_folders.root])
    assert contents.problems == [f"{path}: left out, it is damaged (an image lacks a score): run sr evaluate again"]
    assert find_benchmarks(contents.comparisons) == []


def write_contender(root: Path, name: str, gain: float) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "contender.json").write_text(json.dumps({"name": name, "outputs": "pictures"}))
    write_evaluation(folder, "Urban", {".": gain}, weights="")


def test_another_program_competes_as_what_does_not_vary(run_folders: RunFolders) -> None:
    write_runs(run_folders, {"vdsr": {"Urban": 1.0}, "espcn": {"Urban": 0.5}})
    write_contender(run_folders.root, "theirs", 0.8)
    (section,) = write_report([run_folders.root]).benchmarks
    (board,) = section.boards
    rows = {row.name: row for row in board.rows}
    assert list(rows) == ["vdsr", "theirs", "espcn", "input"]
    assert rows["theirs"].psnr.sd is None
    assert rows["vdsr"].psnr.sd == pytest.approx(0.01)
    assert rows["theirs"].verdict == "worse than vdsr"
    difference = rows["theirs"].to_best
    assert difference is not None
    # Only the three trainings of the best vary, by 0.01: Student's t with 2 degrees of freedom is 4.303.
    assert difference.interval.high - difference.interval.low == pytest.approx(2 * 4.3027 * 0.01 / 3**0.5, rel=1e-3)
    assert board.limits[0].startswith("Rests on 3 photographs, 3 trainings of each configuration, one split")


def test_another_program_has_a_row_in_the_table_for_a_paper(run_folders: RunFolders, tmp_path: Path) -> None:
    write_runs(run_folders, {"vdsr": {"Urban": 1.0}, "espcn": {"Urban": 0.5}})
    write_contender(run_folders.root, "theirs", 0.8)
    write_report([run_folders.root], latex_folder=tmp_path)
    (row,) = [line for line in (tmp_path / "table.tex").read_text().splitlines() if line.startswith("theirs")]
    assert row.count("--") == 2  # it was not scored on the validation images of the runs


def test_two_programs_are_told_apart_without_any_training(run_folders: RunFolders) -> None:
    for name, gain in (("ours", 0.9), ("theirs", 0.8)):
        write_contender(run_folders.root, name, gain)
    (section,) = write_report([run_folders.root]).benchmarks
    (board,) = section.boards
    assert board.headline.startswith("ours is the best on exactly these images, by 0.10 to 0.10 dB over the second")
    assert board.limits == ["Rests on 3 photographs."]


def test_a_program_beside_checkpoints_that_were_trained_once(run_folders: RunFolders) -> None:
    write_evaluation(run_folders("espcn_mse_adam", [0.5] * 4, folds=None), "Urban", {".": 0.5})
    write_contender(run_folders.root, "theirs", 0.8)
    (section,) = write_report([run_folders.root]).benchmarks
    assert section.boards[0].headline.startswith(
        "No verdict on configurations: espcn, mse, adam was trained once. The pictures of theirs have the highest mean"
    )


def test_a_damaged_contender_is_named(run_folders: RunFolders) -> None:
    run_folders("espcn_mse_adam", [0.5] * 4, folds=None)
    write_contender(run_folders.root, "theirs", 0.8)
    (run_folders.root / "theirs" / "contender.json").write_text("[]")
    (problem,) = find_comparisons([run_folders.root]).problems
    assert problem.startswith(f"{run_folders.root / 'theirs' / 'contender.json'}: left out, it is damaged (")
