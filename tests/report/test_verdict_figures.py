import numpy as np
import pytest
from matplotlib.figure import Figure

from sr.report.analysis import Analysis, analyse
from sr.report.comparison import find_comparisons
from sr.report.verdict_figures import differences, indistinct_groups, matrix
from tests.support.run_folders import RunFolders


@pytest.fixture
def analysis(run_folders: RunFolders) -> Analysis:
    """vdsr and edsr, which cannot be told apart, then espcn, which is worse than both."""
    for model, gain in (("vdsr", 1.0), ("edsr", 0.99), ("espcn", 0.5)):
        for seed, shift in enumerate((-0.02, 0.0, 0.02)):
            gains = list(gain + shift + np.linspace(-0.2, 0.2, 12) + 0.001 * np.cos(np.arange(12) * (seed + 1)))
            run_folders(f"{model}_mse_adam_{seed}", gains, names="abcdefghijkl", folds=None, seed=seed)
    (comparison,) = find_comparisons([run_folders.root]).comparisons
    return analyse(comparison)


def test_groups_are_the_longest_in_which_none_is_worse(analysis: Analysis) -> None:
    assert [analysis.names[number] for number in analysis.order] == ["vdsr", "edsr", "espcn"]
    assert indistinct_groups(analysis) == [(0, 1)]


def test_differences_from_the_best_have_intervals_and_bars(analysis: Analysis, drawn_figures: list[Figure]) -> None:
    differences(analysis)
    axes, side = drawn_figures[0].axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["vdsr", "edsr", "espcn"]
    points = [np.asarray(line.get_xydata())[0].tolist() for line in axes.get_lines() if line.get_marker() == "o"]
    assert points == [pytest.approx([0, 0]), pytest.approx([-0.01, 1]), pytest.approx([-0.5, 2])]
    (bar,) = side.get_lines()
    assert np.asarray(bar.get_ydata()).tolist() == pytest.approx([-0.2, 1.2])


def test_the_matrix_has_the_verdict_on_each_row_beside_each_column(
    analysis: Analysis, drawn_figures: list[Figure]
) -> None:
    matrix(analysis)
    (axes,) = drawn_figures[0].axes
    signs = {text.get_position(): text.get_text() for text in axes.texts}  # (column, row)
    assert signs[2, 0] == signs[2, 1] == "+"
    assert signs[0, 2] == signs[1, 2] == "−"  # noqa: RUF001
    assert signs[1, 0] == signs[0, 1] in ("?", "=")
    assert len(signs) == 6
