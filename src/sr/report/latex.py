r"""The tables and crops of a report for a paper: LaTeX with booktabs, and a PDF.

``table.tex`` holds the ``tabular``, to be included with ``\input``; ``document.tex`` is a whole document around it and
the figure of crops, which ``pdflatex`` compiles as it is.
"""

import base64
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sr.io.atomic import whole_file, write_text
from sr.report.analysis import Analysis, analyse
from sr.report.configurations import DEPEND_ON_SCALE, differing, options_of
from sr.report.crops import Strip
from sr.report.run import Configuration
from sr.report.sections import BenchmarkSection, Board, Section, Settings
from sr.report.verdicts import Verdict
from sr.terms import MetricInfo

_BEST, _EQUIVALENT, _POSSIBLE = r"\textbf{%s}", r"%s$^\dagger$", r"%s$^\ast$"
_LEGEND = (
    "Bold: the best. $^\\dagger$: among the best, and equivalent to the best mean. $^\\ast$: may be the best. "
    "Unmarked: worse than another one, not better than interpolation, or without a verdict. "
    "Verdicts count trainings and photographs and hold for "
    "all claims of a column together (Holm's method)."
)
_UNKNOWN = r"[^\x20-\x7e\xc0-\xff]"  # all but Latin-1
_COMPARED = ("model", "loss", "optimizer", "scheduler", "callbacks")  # groups whose options always make a row
_INCHES = 1.3  # side of a crop

_ESCAPES = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}


@dataclass(frozen=True)
class _Column:
    """A score in a comparison, with the verdicts on that score; a score that some configurations lack has none.

    Attributes:
        board: the comparison.
        score: name of the metric.
        analysis: of that score.
        keys: the rows of the configurations and baselines, in the order of their numbers; see `_rows_of`.
    """

    board: Board
    score: str
    analysis: Analysis
    keys: Sequence[str]

    @property
    def metric(self) -> MetricInfo:
        """How to show it."""
        return self.analysis.metrics[self.score]

    @property
    def heading(self) -> str:
        """Its label, with an arrow where less is better."""
        return escaped(self.metric.label) + ("" if self.metric.higher_is_better else r" $\downarrow$")

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number in the analysis of what is in each row."""
        return {key: number for number, key in enumerate(self.keys)}

    def cell(self, key: str) -> str:
        """The mean of a configuration or baseline, marked if it is, or may be, the best; a dash without scores."""
        number = self.numbers.get(key)
        if number is None:
            return "--"
        shown = self.analysis.means(self.score)[number]
        if shown is None:
            return "--"
        text = f"{shown.mean:.{self.metric.digits}f}"
        if self.score in self.analysis.partial:
            return text
        bests, best = self.analysis.possible_bests, self.analysis.best
        if number not in bests or self._loses(number):
            return text
        if len(bests) == 1:
            return (_POSSIBLE if self.analysis.undecidable_above else _BEST) % text
        is_equivalent = number != best and self.analysis.pairs[number, best].verdict is Verdict.EQUIVALENT
        return (_EQUIVALENT if is_equivalent or self.analysis.all_equivalent else _POSSIBLE) % text

    def _loses(self, number: int) -> bool:
        """Whether a baseline has at least the mean of a configuration."""
        return any(
            self.analysis.mean(self.analysis.number(entry)) >= self.analysis.mean(number)
            for entry in self.analysis.baselines
        )


def _rows_of(boards: Sequence[Board]) -> list[list[str]]:
    """For each comparison the rows of its configurations and baselines, by keys that differ within a comparison.

    Configurations of different tables share a row if they are alike but for scale, data, and such options as recipes
    choose by scale; other options count for those of which a table has several that differ in nothing else.
    """
    analyses = [board.analysis for board in boards]
    telling: dict[str, set[str]] = defaultdict(set)
    for analysis in analyses:
        alike: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for entry in analysis.configurations:
            if not entry.is_fixed:
                alike[_row_key(entry)].append(options_of(entry.runs[0]))
        for key, group in alike.items():
            telling[key] |= _telling(group)
    return [
        [
            *(_row_key(entry, telling[_row_key(entry)]) for entry in analysis.configurations),
            *(baseline.prefix for baseline in analysis.baselines),
        ]
        for analysis in analyses
    ]


def _telling(group: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names of options that tell some configurations apart; those that depend on the scale only if they have to."""
    names = differing(group)
    independent = sorted(names - DEPEND_ON_SCALE)
    values = {json.dumps([options.get(name) for name in independent], default=str) for options in group}
    return set(independent) if len(values) == len(group) else names


def _row_key(entry: Configuration, telling: Collection[str] = ()) -> str:
    """What makes two configurations the same row.

    Args:
        entry: one of them.
        telling: names of options that count although they are of none of the groups that always do.
    """
    if entry.is_fixed:
        return json.dumps([entry.name])
    options = {
        name: value
        for name, value in options_of(entry.runs[0]).items()
        if name in telling or (name.partition(".")[0] in _COMPARED and not name.endswith(".scale"))
    }
    return json.dumps([entry.runs[0].choices, options], sort_keys=True, default=str)


def write_latex(
    folder: Path, sections: Sequence[Section], benchmarks: Sequence[BenchmarkSection], settings: Settings
) -> list[Path]:
    """Write ``table.tex``, ``document.tex`` and, where runs kept crops, ``crops.pdf``.

    The table has a row for each configuration and baseline, and a column for each metric of each data set and scale.
    Verdicts on a metric are tests of that metric, whatever the rest of the report decides by.

    Returns:
        The files.

    Raises:
        OSError: if one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    boards = [*sections, *(board for entry in benchmarks for board in entry.boards)]
    columns = [
        _Column(board, score, _analysed(board, score, settings), keys)
        for board, keys in zip(boards, _rows_of(boards), strict=True)
        for score in board.analysis.metrics
    ]
    written = [folder / "table.tex", folder / "document.tex"]
    strips = [strip for section in sections for strip in section.strips]
    write_text(written[0], _table(columns))
    write_text(written[1], _document(columns, bool(strips)))
    if strips:
        written.append(folder / "crops.pdf")
        with whole_file(written[-1]) as file:
            _draw(strips).savefig(file, format="pdf", metadata={"CreationDate": None})
    return written


def _analysed(board: Board, score: str, settings: Settings) -> Analysis:
    if score == board.analysis.score or score in board.analysis.partial:
        return board.analysis
    return analyse(board.comparison, score=score, scope=board.analysis.scope)


def _table(columns: Sequence[_Column]) -> str:
    widths = [(board, len(list(group))) for board, group in groupby(columns, key=lambda column: column.board)]
    boards = [board.comparison for board, _ in widths]
    names = [comparison.label or "validation images" for comparison in boards]
    same = Counter(zip(names, [comparison.scale for comparison in boards], strict=True))
    sets = [
        escaped(name if same[name, entry.scale] == 1 else f"{name} {entry.fingerprint[:8]}")
        for name, entry in zip(names, boards, strict=True)
    ]
    conditions = [f"$\\times${comparison.scale}, {comparison.protocol}" for comparison in boards]
    counts = [count for _, count in widths]
    firsts = [2 + sum(counts[:number]) for number in range(len(counts))]
    spans = [(first, first + count - 1) for first, count in zip(firsts, counts, strict=True)]
    rules = "".join(f"\\cmidrule(lr){{{first}-{last}}}" for first, last in spans)
    baselines, configurations = _rows(columns)
    lines = [
        f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        *(
            _row("", [f"\\multicolumn{{{count}}}{{c}}{{{text}}}" for text, count in zip(texts, counts, strict=True)])
            for texts in (sets, conditions)
        ),
        rules,
        _row("configuration", [column.heading for column in columns]),
        r"\midrule",
        *(_row(escaped(name), [column.cell(key) for column in columns]) for key, name in baselines.items()),
        r"\midrule",
        *(_row(escaped(name), [column.cell(key) for column in columns]) for key, name in configurations.items()),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([f"% {_LEGEND}", *lines]) + "\n"


def _rows(columns: Sequence[_Column]) -> tuple[dict[str, str], dict[str, str]]:
    """The names of the baselines, and of the configurations in the order of the first table that has them.

    Names are those of that table, with a number where another configuration has the same.
    """
    baselines: dict[str, str] = {}
    configurations: dict[str, str] = {}
    for column in columns:
        analysis, keys = column.analysis, column.keys
        for baseline in analysis.baselines:
            baselines.setdefault(baseline.prefix, analysis.names[analysis.number(baseline)])
        for number in analysis.order:
            if keys[number] not in configurations:
                name = analysis.names[number]
                alike = sum(other == name or other.startswith(f"{name} [") for other in configurations.values())
                configurations[keys[number]] = f"{name} [{alike + 1}]" if alike else name
    return baselines, configurations


def _row(name: str, cells: Sequence[str]) -> str:
    guard = "{}" if name[:1] in ("[", "*") else ""  # which would be an argument of the command before
    return " & ".join([guard + name, *cells]) + r" \\"


def escaped(text: str) -> str:
    r"""Text as LaTeX prints it; characters that pdflatex does not know become their code points.

    >>> escaped("lr=0.1_a"), escaped("é 山")
    ('lr=0.1\\_a', 'é [U+5C71]')
    """
    known = re.sub(_UNKNOWN, lambda match: f"[U+{ord(match[0]):04X}]", text)
    return "".join(_ESCAPES.get(character, character) for character in known)


def _document(columns: Sequence[_Column], has_crops: bool) -> str:
    metrics = {column.score: column.metric for column in columns}
    named = [escaped(info.label) + (f" ({escaped(info.unit)})" if info.unit else "") for info in metrics.values()]
    crops = [
        r"\begin{figure}",
        r"\includegraphics[width=\linewidth]{crops.pdf}",
        r"\caption{Crops of the images on which the configurations differ most. PSNR is that of the whole image.}",
        r"\end{figure}",
    ]
    lines = [
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        r"\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage[a4paper,margin=2cm]{geometry}",
        r"\usepackage{booktabs,graphicx}",
        r"\begin{document}",
        r"\begin{table}",
        f"\\caption{{Mean {', '.join(named[:-1])} and {named[-1]}. {_LEGEND}}}",
        r"\centering",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{\input{table.tex}}",
        r"\end{table}",
        *(crops if has_crops else []),
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


def _draw(strips: Sequence[Strip]) -> Figure:
    """A row of crops for each image: input, outputs, target."""
    columns = max(len(strip.tiles) for strip in strips)
    with mpl.rc_context({"pdf.fonttype": 42, "font.size": 7}):  # TrueType: publishers refuse type 3
        figure = Figure(figsize=(_INCHES * columns, (_INCHES + 0.45) * len(strips)), layout="constrained")
        axes = figure.subplots(len(strips), columns, squeeze=False)
        for axis in axes.flat:
            axis.axis("off")
        for row, strip in zip(axes, strips, strict=True):
            for axis, tile in zip(row, strip.tiles, strict=False):
                axis.imshow(_pixels(tile.picture), interpolation="nearest")
                axis.set_title(tile.label if tile.psnr is None else f"{tile.label}\n{tile.psnr:.2f} dB", fontsize=7)
    return figure


def _pixels(data_uri: str) -> np.ndarray:
    data = base64.b64decode(data_uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))
