"""The leaderboard of a comparison: a row a run, and a row an enlargement without a model."""

from collections.abc import Sequence
from dataclasses import dataclass

from sr.report.folders import Comparison, Run
from sr.report.statistics import ALPHA, LEAST_PAIRS, bootstrap_interval, holm, mean_and_sd, paired_p_value
from sr.runs.scores import beats_input

# Enlargements without a model by the prefix of their columns, and what the first is called at scale 1.
_BASELINES = {"input": "bicubic", "nearest": "nearest", "lanczos": "Lanczos"}
_UNTOUCHED = "input, untouched"


@dataclass(frozen=True)
class Row:
    """A line of the leaderboard.

    Attributes:
        name: the run's folder, or the baseline's name.
        run: None for a baseline.
        rank: by mean PSNR among the runs, from 1; None for a baseline.
        psnr: mean and standard deviation over folds, dB; the latter None for a single fold.
        ssim: the same.
        gain: the same, PSNR over the input's.
        interval: 95 % bootstrap interval of the mean gain over images.
        p: of the paired test against the best run over images, Holm-adjusted; None for the best and for baselines.
    """

    name: str
    run: Run | None
    rank: int | None
    psnr: tuple[float, float | None]
    ssim: tuple[float, float | None]
    gain: tuple[float, float | None]
    interval: tuple[float, float]
    p: float | None = None

    @property
    def best(self) -> bool:
        """Whether it has the highest mean PSNR of all runs."""
        return self.rank == 1

    @property
    def ties(self) -> bool:
        """Whether the paired test cannot tell it from the best."""
        return self.p is not None and self.p >= ALPHA

    @property
    def loses(self) -> bool:
        """Whether it is a run that does not beat its input."""
        return self.run is not None and not beats_input(self.gain[0])

    @property
    def doubtful(self) -> bool:
        """Whether it beats its input on these images by no more than chance might."""
        return self.run is not None and not self.loses and self.interval[0] <= 0

    @property
    def verdict(self) -> str:
        """The row's place among the others, in words."""
        if self.run is None:
            return "no model"
        if self.loses:
            return "LOSES TO ITS INPUT"
        words = "best" if self.best else "tie with the best" if self.ties else ""
        doubt = "not surely better than its input" if self.doubtful else ""
        return ", ".join(word for word in (words, doubt) if word)


def leaderboard(comparison: Comparison) -> list[Row]:
    """Rows from the highest mean PSNR to the lowest, baselines among them."""
    runs = sorted(comparison.runs, key=lambda run: (-mean_and_sd(run.by_fold("psnr"))[0], run.name))
    best = runs[0].column("psnr")
    p_values = holm([paired_p_value(run.column("psnr"), best) for run in runs[1:]])
    rows = [_row(run, rank, None if rank == 1 else p_values[rank - 2]) for rank, run in enumerate(runs, 1)]
    return sorted([*rows, *_baselines(comparison)], key=lambda row: (-row.psnr[0], row.run is not None, row.rank or 0))


def _row(run: Run, rank: int, p: float | None) -> Row:
    psnr, ssim, gain = (mean_and_sd(run.by_fold(score)) for score in ("psnr", "ssim", "gain"))
    return Row(run.name, run, rank, psnr, ssim, gain, bootstrap_interval(run.column("gain")), p)


def _baselines(comparison: Comparison) -> list[Row]:
    """They are the same for every run, apart from the folds that the images fell into: the first run's are taken."""
    run = comparison.runs[0]
    known = [prefix for prefix in _BASELINES if f"{prefix}_psnr" in next(iter(run.images.values()))]
    rows = []
    for prefix in known:
        gains = [scores[f"{prefix}_psnr"] - scores["input_psnr"] for scores in run.images.values()]
        psnr, ssim = (mean_and_sd(run.by_fold(f"{prefix}_{score}")) for score in ("psnr", "ssim"))
        name = _UNTOUCHED if comparison.scale == 1 else _BASELINES[prefix]
        gain = (psnr[0] - mean_and_sd(run.by_fold("input_psnr"))[0], None)
        rows.append(Row(name, None, None, psnr, ssim, gain, bootstrap_interval(gains)))
    return rows


def notes(comparison: Comparison, rows: Sequence[Row]) -> list[str]:
    """What a reader has to know before believing the table, a sentence each."""
    runs = comparison.runs
    said = []
    if comparison.scale == 1:
        said.append("At scale 1 nothing is enlarged: nearest, bicubic and Lanczos all leave the input as it is.")
    losers = sum(row.loses for row in rows)
    if losers:
        said.append(f"{losers} of {len(runs)} do not beat their input: no model at all would be better.")
    if len(runs[0].images) < LEAST_PAIRS:
        said.append(
            f"With fewer than {LEAST_PAIRS} images the paired test cannot find any difference: every tie here is empty."
        )
    if all(row.psnr[1] is None for row in rows):
        said.append("One fold: there is no spread over folds (data.fold=all has one).")
    for what, values in (
        ("steps", {run.result.steps for run in runs}),
        ("git commits", {run.result.git_commit for run in runs}),
        ("versions of packages", {str(run.result.versions) for run in runs}),
        ("machines", {str(run.result.machine) for run in runs}),
    ):
        if len(values) > 1:
            said.append(f"The runs differ in their {what}: see the list of commands.")
    if any("random" in str(run.result.loss) for run in runs):
        said.append("The VGG loss used random features instead of ImageNet's: a weaker loss (arXiv:1801.03924).")
    groups = runs[0].data.near_identical
    if groups:
        listed = "; ".join(", ".join(group) for group in groups[:5])
        more = f" and {len(groups) - 5} more groups" if len(groups) > 5 else ""
        said.append(f"Near-identical images were kept on one side of every split: {listed}{more}.")
    return said
