"""The leaderboard of a comparison: a row per run, and a row per baseline."""

from dataclasses import dataclass

from sr.report.comparison import Comparison
from sr.report.run import Run
from sr.report.statistics import ALPHA, Interval, bootstrap_interval, holm, paired_p_value
from sr.runs.scores import MeanSd, mean_and_sd
from sr.terms import BASELINES, Baseline, loses_to

_INPUT = BASELINES[0]
_UNPROCESSED = "unprocessed input"  # what the baseline is at scale 1, where nothing is enlarged


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard.

    Attributes:
        name: name of the run or of the baseline.
        run: None for a baseline.
        rank: by mean PSNR among the runs, from 1; None for a baseline.
        psnr: mean and standard deviation over folds, dB.
        ssim: mean and standard deviation over folds.
        gain: mean and standard deviation over folds of the PSNR minus that of the input, dB.
        interval: 95 % bootstrap interval over images of the mean gain.
        loses_to: baselines that it does not beat, in words; empty for a baseline.
        p: p value of the paired test against the best run over images, adjusted by Holm's method; None for the best
            run and for baselines.
    """

    name: str
    run: Run | None
    rank: int | None
    psnr: MeanSd
    ssim: MeanSd
    gain: MeanSd
    interval: Interval
    loses_to: str = ""
    p: float | None = None

    @property
    def best(self) -> bool:
        """Whether it has the highest mean PSNR of all runs."""
        return self.rank == 1

    @property
    def ties(self) -> bool:
        """Whether its difference from the best run is not significant."""
        return self.p is not None and self.p >= ALPHA

    @property
    def loses(self) -> bool:
        """Whether it is a run that does not beat all baselines."""
        return bool(self.loses_to)

    @property
    def doubtful(self) -> bool:
        """Whether it is a run that beats its input, but not significantly."""
        return self.run is not None and not self.loses and self.interval.low <= 0

    @property
    def verdict(self) -> str:
        """How it compares with the best run and with its input, in words."""
        if self.run is None:
            return "no model"
        if self.loses:
            return f"LOSES TO {self.loses_to.upper()}"
        place = "best" if self.best else "tie with the best" if self.ties else ""
        doubt = "not significantly better than its input" if self.doubtful else ""
        return ", ".join(text for text in (place, doubt) if text)


def leaderboard(comparison: Comparison) -> list[Row]:
    """Rank the runs by mean PSNR, with the baselines between them."""
    runs = sorted(comparison.runs, key=lambda run: (-mean_and_sd(run.by_fold("psnr")).mean, run.name))
    best = runs[0].column("psnr")
    p_values = holm([paired_p_value(run.column("psnr"), best) for run in runs[1:]])
    rows = [_row(run, rank, None if rank == 1 else p_values[rank - 2]) for rank, run in enumerate(runs, 1)]
    rows += _baselines(comparison)
    return sorted(rows, key=lambda row: (-row.psnr.mean, row.run is not None, row.rank or 0))


def _row(run: Run, rank: int, p: float | None) -> Row:
    psnr, ssim, gain = (mean_and_sd(run.by_fold(score)) for score in ("psnr", "ssim", "gain"))
    baselines = {
        baseline.prefix: mean_and_sd(run.by_fold(f"{baseline.prefix}_psnr")).mean
        for baseline in _recorded_baselines(run)
    }
    interval = bootstrap_interval(run.column("gain"), run.fold_weights)
    return Row(run.name, run, rank, psnr, ssim, gain, interval, loses_to(psnr.mean, baselines), p)


def _recorded_baselines(run: Run) -> list[Baseline]:
    return [baseline for baseline in BASELINES if f"{baseline.prefix}_psnr" in next(iter(run.images.values()))]


def _baselines(comparison: Comparison) -> list[Row]:
    """Rows of the baselines, from the first run: all runs have the same, up to how images were assigned to folds."""
    run = comparison.runs[0]
    rows = []
    for baseline in _recorded_baselines(run):
        column = f"{baseline.prefix}_psnr"
        gains = [scores[column] - scores[f"{_INPUT.prefix}_psnr"] for scores in run.images.values()]
        psnr, ssim = (mean_and_sd(run.by_fold(f"{baseline.prefix}_{score}")) for score in ("psnr", "ssim"))
        gain = MeanSd(psnr.mean - mean_and_sd(run.by_fold(f"{_INPUT.prefix}_psnr")).mean)
        name = _UNPROCESSED if comparison.scale == 1 else baseline.label
        rows.append(Row(name, None, None, psnr, ssim, gain, bootstrap_interval(gains, run.fold_weights)))
    return rows
