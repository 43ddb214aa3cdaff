import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sr.report.latex import escaped
from sr.report.page import write_report
from sr.report.sections import Settings
from tests.support.run_folders import RunFolders, config, data

BEST, CLOSE, WORSE = 1.0, 0.99, 0.5


def write_runs(run_folders: RunFolders, **gains: float) -> None:
    """Three trainings of each configuration, which differ by 0.01 dB, on four images."""
    for model, gain in gains.items():
        for seed in range(3):
            values = [gain + 0.01 * (seed - 1) + offset for offset in (0.001, 0.0, -0.001, 0.0)]
            run_folders(f"{model}_mse_adam_seed{seed}", values, folds=None, seed=seed, output_gray=110)


def rows_of(table: str) -> dict[str, list[str]]:
    """The cells of each row by its name."""
    rows = [line.removesuffix(r" \\").split(" & ") for line in table.splitlines() if line.endswith(r"\\")]
    return {name: cells for name, *cells in rows}


def test_the_best_is_bold_only_if_the_verdict_says_so(run_folders: RunFolders, tmp_path: Path) -> None:
    write_runs(run_folders, vdsr=BEST, espcn=WORSE)
    write_report([run_folders.root], latex_folder=tmp_path / "paper")
    rows = rows_of((tmp_path / "paper" / "table.tex").read_text())
    assert rows["vdsr"] == [r"\textbf{28.75}", r"\textbf{0.8100}"]
    assert rows["espcn"] == ["28.25", "0.8050"]
    assert rows["input"] == ["27.75", "0.8000"]
    assert list(rows)[-2:] == ["vdsr", "espcn"]


def test_equivalent_bests_are_marked_and_none_is_bold(run_folders: RunFolders, tmp_path: Path) -> None:
    write_runs(run_folders, vdsr=BEST, espcn=CLOSE, edsr=WORSE)
    write_report([run_folders.root], latex_folder=tmp_path)
    rows = rows_of((tmp_path / "table.tex").read_text())
    assert rows["vdsr"] == [r"28.75$^\dagger$", r"0.8100$^\dagger$"]
    assert rows["espcn"] == [r"28.74$^\dagger$", r"0.8099$^\dagger$"]
    assert rows["edsr"] == ["28.25", "0.8050"]


def test_those_that_may_be_the_best_are_marked_otherwise(run_folders: RunFolders, tmp_path: Path) -> None:
    write_runs(run_folders, vdsr=BEST, espcn=CLOSE)
    write_report([run_folders.root], latex_folder=tmp_path, settings=Settings(rope=0.001))
    rows = rows_of((tmp_path / "table.tex").read_text())
    assert rows["vdsr"] == [r"28.75$^\ast$", r"0.8100$^\dagger$"]  # the rope is that of PSNR alone
    assert rows["espcn"] == [r"28.74$^\ast$", r"0.8099$^\dagger$"]


def test_configurations_of_several_scales_share_a_row(run_folders: RunFolders, tmp_path: Path) -> None:
    for scale in (2, 3):
        for model, gain in {"vdsr": BEST, "espcn": WORSE}.items():
            if (scale, model) == (3, "espcn"):
                continue
            run_folders(f"{model}_mse_adam_x{scale}", [gain + scale] * 4, folds=None, scale=scale)
    write_report([run_folders.root], latex_folder=tmp_path)
    table = (tmp_path / "table.tex").read_text()
    assert re.findall(r"\$\\times\$(\d), rgb", table) == ["2", "3"]
    rows = rows_of(table)
    assert rows["espcn"] == ["30.25", "0.8250", "--", "--"]  # one training each: nothing is marked
    assert rows["bicubic"] == ["27.75", "0.8000"] * 2


def test_different_configurations_of_the_same_name_have_rows_of_their_own(
    run_folders: RunFolders, tmp_path: Path
) -> None:
    for loss, fingerprint in (("mse", "1" * 16), ("vgg", "2" * 16)):
        for model, gain in {"vdsr": BEST, "espcn": WORSE}.items():
            run_folders(f"{model}_{loss}_adam", [gain] * 4, folds=None, data=data(4, fingerprint=fingerprint))
    write_report([run_folders.root], latex_folder=tmp_path)
    table = (tmp_path / "table.tex").read_text()
    assert "{validation images 11111111}" in table
    rows = rows_of(table)
    assert rows["vdsr"] == ["28.75", "0.8100", "--", "--"]
    assert rows["vdsr [2]"] == ["--", "--", "28.75", "0.8100"]


def test_configurations_that_differ_in_their_data_have_their_own_numbers(
    run_folders: RunFolders, tmp_path: Path
) -> None:
    """Options outside the model, the loss and the optimizer tell rows apart where a table needs them."""
    gains = {("espcn", 48): WORSE, ("espcn", 96): BEST, ("vdsr", 96): 0.75}
    for scale in (2, 3):
        for (model, patch), gain in gains.items():
            node = config(0, scale=scale)
            node["data"]["patch"] = patch
            run_folders(f"{model}_mse_adam_{patch}_x{scale}", [gain] * 4, folds=None, scale=scale, config=node)
    write_report([run_folders.root], latex_folder=tmp_path)
    rows = rows_of((tmp_path / "table.tex").read_text())
    found = {name: cells[::2] for name, cells in rows.items() if name.startswith(("espcn", "vdsr"))}
    assert found == {
        "espcn, patch=96": ["28.75"] * 2,
        "vdsr, patch=96": ["28.50"] * 2,
        "espcn, patch=48": ["28.25"] * 2,
    }


def test_an_ambiguous_row_does_not_split_the_others_by_scale(run_folders: RunFolders, tmp_path: Path) -> None:
    """The hash of the images differs by scale; it counts where two configurations differ in nothing else."""
    for scale in (2, 3):
        images = data(4, fingerprint=f"{scale}" * 16)
        for model, gain in {"vdsr": BEST, "espcn": WORSE}.items():
            run_folders(f"{model}_mse_adam_x{scale}", [gain] * 4, folds=None, scale=scale, data=images)
    node = config(0)
    node["data"]["patch"] = 48
    run_folders("espcn_mse_adam_small", [0.2] * 4, folds=None, scale=2, data=data(4, fingerprint="2" * 16), config=node)
    write_report([run_folders.root], latex_folder=tmp_path)
    rows = rows_of((tmp_path / "table.tex").read_text())
    assert rows["vdsr"][::2] == ["28.75"] * 2


def test_what_does_not_beat_its_input_is_not_bold(run_folders: RunFolders, tmp_path: Path) -> None:
    write_runs(run_folders, vdsr=-0.3, espcn=-0.9)
    write_report([run_folders.root], latex_folder=tmp_path)
    rows = rows_of((tmp_path / "table.tex").read_text())
    assert rows["vdsr"][0] == "27.45"


def test_a_higher_mean_without_a_verdict_leaves_nothing_bold(run_folders: RunFolders, tmp_path: Path) -> None:
    write_runs(run_folders, vdsr=BEST, espcn=WORSE)
    run_folders("edsr_mse_adam", [2.0] * 4, folds=None)
    write_report([run_folders.root], latex_folder=tmp_path)
    rows = rows_of((tmp_path / "table.tex").read_text())
    assert (rows["edsr"][0], rows["vdsr"][0]) == ("29.75", r"28.75$^\ast$")


def test_names_are_escaped() -> None:
    assert escaped("a_b & 50 % {x} ~^\\ <5>") == (
        r"a\_b \& 50 \% \{x\} \textasciitilde{}\textasciicircum{}\textbackslash{} \textless{}5\textgreater{}"
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_pdflatex_compiles_the_document_as_it_is(run_folders: RunFolders, tmp_path: Path) -> None:
    for model in ("山 vdsr_é&", "espcn"):
        for seed in range(2):
            run_folders(f"{model}_mse_adam_seed{seed}", [0.5] * 4, folds=None, seed=seed, output_gray=110)
    written = write_report([run_folders.root], latex_folder=tmp_path).files
    assert [path.name for path in written[-3:]] == ["table.tex", "document.tex", "crops.pdf"]
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    completed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout[-2000:]
    assert "Overfull" not in completed.stdout
    assert (tmp_path / "document.pdf").stat().st_size > 10_000
