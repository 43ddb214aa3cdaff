"""Compare two searches: how much of the first one's compute does the second need to reach the same score?

python -m scripts.bench.searches runs/espcn_search runs/espcn_tpe --plot docs/measured/search.svg
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from hydra_plugins.sr_optuna.reading import open_search
from sr.runs.schema import read_result


def finished(folder: Path) -> list[FrozenTrial]:
    """The finished trials of a search, in the order in which they finished."""
    with open_search(folder) as study:
        trials = [trial for trial in study.trials if trial.datetime_complete is not None]
    return sorted(trials, key=lambda trial: trial.datetime_complete or 0)


def seconds(trial: FrozenTrial) -> float:
    """Wall time of a trial."""
    return trial.duration.total_seconds() if trial.duration else 0.0


def work(folder: Path, trial: FrozenTrial) -> float:
    """Machine-independent cost of a trial: multiply-adds of its network times trained epochs."""
    result = read_result(folder / f"trial_{trial.number:04d}")
    return float(result.multiply_adds if result else 0) * (trial.last_step or 0)


def best_so_far(folder: Path, trials: Sequence[FrozenTrial]) -> list[tuple[float, float]]:
    """(work spent on trials, best value) after each trial."""
    points: list[tuple[float, float]] = []
    spent, best = 0.0, float("-inf")
    for trial in trials:
        spent += work(folder, trial)
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            best = max(best, trial.value)
        points.append((spent, best))
    return points


def main() -> None:
    """Compare two searches that maximize the same score, and plot them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    folders = [options.reference, options.other]
    curves = []
    for folder in folders:
        trials = finished(folder)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        best = max(complete, key=lambda trial: trial.value or 0)
        minutes = sum(seconds(trial) for trial in trials) / 60
        median_seconds = statistics.median(seconds(trial) for trial in complete)
        print(f"{folder.name}: {len(trials)} trials, {len(complete)} complete, {minutes:.1f} minutes of trials")
        print(f"  complete: median {median_seconds:.1f} s; best {best.value:.5f}, trial {best.number}: {best.params}")
        curves.append(best_so_far(folder, trials))
    total, target = curves[0][-1]
    reached = [(number, spent) for number, (spent, value) in enumerate(curves[1], 1) if value >= target]
    if reached:
        number, spent = reached[0]
        share = f"{100 * spent / total:.0f} % of the multiply-adds"
        print(f"{folders[1].name} reached {target:.5f} after {number} trials and {share}")
    else:
        print(f"{folders[1].name} did not reach {target:.5f}: its best is {curves[1][-1][1]:.5f}")
    if options.plot:
        draw(options.plot, [folder.name for folder in folders], curves)


def draw(path: Path, names: Sequence[str], curves: Sequence[Sequence[tuple[float, float]]]) -> None:
    """Plot the best value so far over the compute spent."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sr", "axes.grid": True, "grid.alpha": 0.25}):
        figure = Figure((6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        total = curves[0][-1][0]
        for name, curve in zip(names, curves, strict=True):
            axes.step([spent / total for spent, _ in curve], [value for _, value in curve], where="post", label=name)
        axes.set_xlabel(f"multiply-adds spent, as a share of {names[0]}'s")
        axes.set_ylabel("best validation SSIM so far")
        axes.legend(loc="lower right")
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
