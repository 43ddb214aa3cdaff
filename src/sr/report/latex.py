r"""The tables and crops of a report for a paper: LaTeX with booktabs, and a PDF.

``table.tex`` holds the ``tabular``, to be included with ``\input``; ``document.tex`` is a whole document around it and
the figure of crops, which ``pdflatex`` compiles as it is.
"""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sr.io.atomic import whole_file, write_text
from sr.report.analysis import Analysis, analyse
from sr.report.crops import Strip
from sr.report.formats import DIGITS
from sr.report.sections import BenchmarkSection, Board, Section, Settings
from sr.report.verdicts import Verdict

_BEST, _EQUIVALENT, _POSSIBLE = r"\textbf{%s}", r"%s$^\dagger$", r"%s$^\ast$"
_LEGEND = (
    "Bold: the best. $^\\dagger$: among the best, and equivalent to the highest mean. $^\\ast$: may be the best. "
    "Unmarked: worse than another one, or without a verdict. Verdicts count trainings and photographs and hold for "
    "all claims of a column together (Holm's method)."
)
_NAMES = {"psnr": "PSNR", "ssim": "SSIM"}
_UNKNOWN = r"[^\x20-\x7e\xc0-\xff]"  # all but Latin-1
_INCHES = 1.3  # side of a crop

_ESCAPES = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
}


@dataclass(frozen=True)
class _Column:
    """A score in a comparison, with the verdicts on that score."""

    board: Board
    score: str
    analysis: Analysis

    def cell(self, name: str) -> str:
        """The mean of a configuration or baseline, marked if it is, or may be, the best; a dash without scores."""
        if name not in self.analysis.names:
            return "--"
        number = list(self.analysis.names).index(name)
        text = f"{self.analysis.mean(number):.{DIGITS[self.score]}f}"
        bests, best = self.analysis.possible_bests, self.analysis.best
        if number not in bests:
            return text
        if len(bests) == 1:
            return _BEST % text
        is_equivalent = number != best and self.analysis.pairs[number, best].verdict is Verdict.EQUIVALENT
        return (_EQUIVALENT if is_equivalent or self.analysis.all_equivalent else _POSSIBLE) % text


def write_latex(
    folder: Path, sections: Sequence[Section], benchmarks: Sequence[BenchmarkSection], settings: Settings
) -> list[Path]:
    """Write ``table.tex``, ``document.tex`` and, where runs kept crops, ``crops.pdf``.

    The table has a row for each configuration and baseline, and two columns, PSNR and SSIM, for each data set and
    scale.
    Verdicts on SSIM are tests of SSIM, whatever score the rest of the report decides by.

    Returns:
        The files.

    Raises:
        OSError: if one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    boards = [*sections, *(board for entry in benchmarks for board in entry.boards)]
    columns = [_Column(board, score, _analysed(board, score, settings)) for board in boards for score in _NAMES]
    written = [folder / "table.tex", folder / "document.tex"]
    strips = [strip for section in sections for strip in section.strips]
    write_text(written[0], _table(columns))
    write_text(written[1], _document(bool(strips)))
    if strips:
        written.append(folder / "crops.pdf")
        with whole_file(written[-1]) as file:
            _draw(strips).savefig(file, format="pdf", metadata={"CreationDate": None})
    return written


def _analysed(board: Board, score: str, settings: Settings) -> Analysis:
    if score == settings.score:
        return board.analysis
    return analyse(board.comparison, score=score, scope=board.analysis.scope)


def _table(columns: Sequence[_Column]) -> str:
    baselines = dict.fromkeys(
        name for column in columns for name in column.analysis.names[len(column.analysis.configurations) :]
    )
    configurations = dict.fromkeys(
        column.analysis.names[number] for column in columns for number in column.analysis.order
    )
    boards = [column.board.comparison for column in columns[::2]]
    sets = [escaped(comparison.label or "validation images") for comparison in boards]
    conditions = [f"$\\times${comparison.scale}, {comparison.protocol}" for comparison in boards]
    rules = "".join(f"\\cmidrule(lr){{{first}-{first + 1}}}" for first in range(2, 2 + len(columns), 2))
    lines = [
        f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        _row("", [f"\\multicolumn{{2}}{{c}}{{{text}}}" for text in sets]),
        _row("", [f"\\multicolumn{{2}}{{c}}{{{text}}}" for text in conditions]),
        rules,
        _row("configuration", [_NAMES[column.score] for column in columns]),
        r"\midrule",
        *(_row(escaped(name), [column.cell(name) for column in columns]) for name in baselines),
        r"\midrule",
        *(_row(escaped(name), [column.cell(name) for column in columns]) for name in configurations),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([f"% {_LEGEND}", *lines]) + "\n"


def _row(name: str, cells: Sequence[str]) -> str:
    return " & ".join([name, *cells]) + r" \\"


def escaped(text: str) -> str:
    r"""Text as LaTeX prints it; characters that pdflatex does not know become their code points.

    >>> escaped("lr=0.1_a"), escaped("é 山")
    ('lr=0.1\\_a', 'é [U+5C71]')
    """
    known = re.sub(_UNKNOWN, lambda match: f"[U+{ord(match[0]):04X}]", text)
    return "".join(_ESCAPES.get(character, character) for character in known)


def _document(has_crops: bool) -> str:
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
        f"\\caption{{Mean PSNR (dB) and SSIM. {_LEGEND}}}",
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
