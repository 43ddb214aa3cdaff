"""All of the atlas: findings, a section for each data set, and what is missing for more."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sr.io.run_folder import RunFolder
from sr.report.atlas.degradations import Matrix, matrix_of
from sr.report.atlas.panels import Panel, panels_of
from sr.report.atlas.photographs import Difficulty, difficulty_of
from sr.report.atlas.plane import MOST_PLANES, Plane, draw, planes_of
from sr.report.atlas.strips import strips_of
from sr.report.atlas.weaknesses import Findings, find_weaknesses
from sr.report.benchmarks import Benchmark
from sr.report.comparison import Comparisons
from sr.report.crops import Strip
from sr.report.sections import Plot

_NOT_FINDING = "bicubic,blur,noise,jpeg"


@dataclass(frozen=True)
class Missing:
    """What the atlas could not show, why, and the command that fills it."""

    text: str
    command: str


@dataclass(frozen=True)
class AtlasSection:
    """What is shown of a data set.

    Attributes:
        key: what ids in the page begin with.
        panel: what was scored.
        matrix: of degradations, if there are several.
        difficulty: gains by difficulty.
        difficulty_plot: their plot.
        planes: of perception and distortion, by degradation; empty without a perceptual measure.
        plane_plot: their plot; None without one.
        strips: crops by the anchor of the photograph that they show.
    """

    key: str
    panel: Panel
    matrix: Matrix | None
    difficulty: Difficulty
    difficulty_plot: Plot
    planes: Sequence[Plane]
    plane_plot: Plot | None
    strips: dict[str, Strip]


@dataclass(frozen=True)
class Atlas:
    """Where configurations are good and bad.

    Attributes:
        findings: where a configuration falls behind.
        sections: one for each data set.
        missing: what could not be shown.
    """

    findings: Findings
    sections: Sequence[AtlasSection]
    missing: Sequence[Missing]

    @property
    def summary(self) -> str:
        """How the findings were found, or that there are none, in a sentence."""
        found, examined = len(self.findings.weaknesses), self.findings.examined
        if not examined:
            return ""
        left_out = ", ".join(self.findings.left_out)
        skipped = f" Not examined, since a photograph has no score: {left_out}." if left_out else ""
        if not found:
            return (
                "No weak point: under no degradation and on no group of photographs does a configuration fall further "
                f"behind than elsewhere by more than chance, in {examined} cases examined.{skipped}"
            )
        return (
            f"{found} of {examined} cases, each a configuration under a degradation or on a group of photographs, the "
            f"largest first. The lower bounds hold for all cases together with 95 %.{skipped}"
        )

    @property
    def figures(self) -> dict[str, str]:
        """The text of each plot's SVG file, by its name."""
        named = {}
        for section in self.sections:
            for plot in filter(None, (section.difficulty_plot, section.plane_plot)):
                named[f"{section.key}_{plot.kind}"] = plot.svg
        return named


def atlas_of(
    contents: Comparisons, benchmarks: Sequence[Benchmark], folders: Sequence[Path], score: str, rope: float | None
) -> Atlas:
    """Build the atlas of a report.

    Args:
        contents: what was found in the folders.
        benchmarks: what `sr evaluate` scored.
        folders: that are reported on, for the commands that fill what is missing.
        score: the metric that findings are about.
        rope: differences up to this do not matter; None: that of the metric.
    """
    every = sorted(panels_of(contents.comparisons, benchmarks), key=lambda panel: len(panel.degradations) == 1)
    panels = [panel for panel in every if not panel.is_empty]
    sections = [_section(f"atlas{number}", panel) for number, panel in enumerate(panels, 1)]
    models = _models(contents, folders)
    return Atlas(
        find_weaknesses(panels, score, rope),
        sections,
        _missing(sections, [panel for panel in every if panel.is_empty], models),
    )


def _section(key: str, panel: Panel) -> AtlasSection:
    difficulty, planes = difficulty_of(panel), planes_of(panel)
    return AtlasSection(
        key,
        panel,
        matrix_of(panel),
        difficulty,
        _difficulty_plot(difficulty),
        planes,
        _plane_plot(planes) if planes else None,
        strips_of(panel, difficulty.photographs) if panel.is_validation else {},
    )


def _difficulty_plot(difficulty: Difficulty) -> Plot:
    caption = (
        "A point is a photograph. Its difficulty is the PSNR of bicubic interpolation: how little is lost. Points with "
        "an edge are named in the table below, and link to it."
    )
    if difficulty.degradations_left_out:
        caption += f" Degradations that are not in the plot: {', '.join(difficulty.degradations_left_out)}."
    if difficulty.left_out:
        caption += f" Not shown: {'; '.join(difficulty.left_out)}."
    return Plot("difficulty", difficulty.svg, "Gain against difficulty", caption)


def _plane_plot(planes: Sequence[Plane]) -> Plot:
    shown = min(len(planes), MOST_PLANES)
    caption = (
        f"PSNR against {planes[0].metric.label}, better to the upper right. The line joins the front, on which nothing "
        "is better in one without being worse in the other (arXiv:1711.06077). Intervals are those of the "
        "difference from bicubic interpolation."
    )
    if shown < len(planes):
        caption += f" Not shown: {'; '.join(plane.degradation for plane in planes[shown:])}."
    svg, unsaid = draw(planes)
    if unsaid:
        caption += f" For want of space, {'; '.join(unsaid)}."
    return Plot("plane", svg, "Perception and distortion", caption)


def _models(contents: Comparisons, folders: Sequence[Path]) -> str:
    """The runs of a report as arguments of a command: the folders that hold several with a glob, the others by name."""
    parts = [path for comparison in contents.comparisons for run in comparison.runs for path in run.folders]
    runs = list(dict.fromkeys(path.parent if RunFolder(path.parent).seeds else path for path in parts))
    count = Counter(path.parent for path in runs)
    named = [
        f"{shlex.quote(run.parent.as_posix())}/*" if count[run.parent] > 1 else shlex.quote(run.as_posix())
        for run in runs
    ]
    return " ".join(dict.fromkeys(named) if named else [f"{shlex.quote(folder.as_posix())}/*" for folder in folders])


def _empty(panel: Panel, command: str) -> Missing:
    """Why a data set has no section."""
    of_all = f"{', '.join(panel.degradations)}. DIR is its folder."
    degraded = ",".join(comparison.degradation for comparison in panel.comparisons if comparison.degradation)
    return Missing(
        f"{panel.title}: no configuration has the same trainings scored under all of {of_all}",
        f"{command} --degrade {shlex.quote(degraded)}" if degraded else command,
    )


def _missing(sections: Sequence[AtlasSection], empty: Sequence[Panel], models: str) -> list[Missing]:
    command = f"sr evaluate {models} --data DIR"
    lines = [_empty(panel, command) for panel in empty]
    if not any(section.matrix for section in sections):
        lines.append(
            Missing(
                "The matrix of degradations: nothing was scored under several. DIR is a folder of photographs.",
                f"{command} --degrade {_NOT_FINDING}",
            )
        )
    if not any(section.planes for section in sections):
        lines.append(
            Missing(
                "The plane of perception and distortion: nothing was scored by LPIPS or DISTS, which need ImageNet's "
                "VGG16, nor by VIF, which needs no network.",
                f"{command} --metrics vif",
            )
        )
    if not any(section.strips for section in sections):
        lines.append(
            Missing(
                "Crops of the photographs below the plots: runs keep them of validation images (callbacks.samples). "
                "Whole outputs are written by",
                f"{command} --save outputs/",
            )
        )
    return lines
