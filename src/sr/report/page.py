"""Write a report: one page for a browser, one for a terminal or a repository, one table for programs."""

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sr.errors import UserError
from sr.io.atomic import write_text
from sr.io.tables import write_table
from sr.report import figures
from sr.report.board import Row, leaderboard, notes
from sr.report.crops import ERROR_GAIN, strips
from sr.report.folders import Comparison, Found, Run, find_runs
from sr.report.statistics import main_effects

FILES = ("report.html", "report.md", "leaderboard.csv")

_CAPTIONS = {
    "heat_map": "Mean gain of every combination",
    "effects": "What each choice is worth, the others averaged out, with 95 % intervals over images",
    "curves": "Validation gain over epochs, the band one standard deviation over folds; early epochs far below are cut",
    "cost": "Gain against cost; the line joins the runs that no other one beats at that cost; runs far below are cut",
}


def write_report(folder: Path, pictures: Path | None = None) -> Found:
    """Write ``report.html``, ``report.md`` and ``leaderboard.csv`` into the folder of the runs they are about.

    Args:
        folder: of a sweep, of several, or of one run.
        pictures: a folder that gets the plots as SVG files too.

    Returns:
        What was read, with every problem met on the way.

    Raises:
        UserError: if no run is done, or a file cannot be written.
    """
    found = find_runs(folder)
    problems = list(found.problems)
    sections = [_section(number, comparison, problems) for number, comparison in enumerate(found.comparisons, 1)]
    about = {
        "title": folder.resolve().name,
        "sections": sections,
        "unfinished": found.unfinished,
        "evaluations": _evaluations(found.comparisons),
        "problems": problems,
        "error_gain": ERROR_GAIN,
        "captions": _CAPTIONS,
    }
    pages = templates()
    try:
        write_text(folder / FILES[0], pages.get_template("report.html").render(about))
        write_text(folder / FILES[1], pages.get_template("report.md").render(about))
        write_table(folder / FILES[2], _table(sections, found))
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            for section in sections:
                for name, figure in section["figures"].items():
                    file = "_".join([str(section["number"]), *name.replace("/", "_").split(":")])
                    write_text(pictures / f"{file}.svg", figure)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written ({error.strerror})") from error
    return Found(found.comparisons, found.unfinished, problems)


def templates() -> Environment:
    """The templates of this package's pages."""
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {
        "spread": _spread,
        "signed": lambda value, digits=2: f"{value:+.{digits}f}",
        "si": _si,
        "commit": _commit,
        "cell": lambda text: str(text).replace("|", "\\|"),
        "data_uri": lambda svg: f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}",
    }
    return pages


def _section(number: int, comparison: Comparison, problems: list[str]) -> dict[str, Any]:
    rows = leaderboard(comparison)
    drawn: dict[str, str] = {}
    effects: dict[str, dict[str, dict[str, tuple[float, float, float]]]] = {}
    for sweep, cells in figures.sweeps(comparison.runs).items():
        end = f":{sweep}" if sweep else ""
        if len(cells) > 1:
            drawn[f"heat_map{end}"] = figures.heat_map(cells)
            values = figures.gains(cells)
            found = {factor: main_effects(values, place) for place, factor in enumerate(figures.FACTORS)}
            effects[sweep] = {factor: levels for factor, levels in found.items() if levels}
        if plot := figures.effects(cells):
            drawn[f"effects{end}"] = plot
        drawn[f"curves{end}"] = figures.curves(cells)
    drawn["cost"] = figures.cost(rows)
    return {
        "number": number,
        "comparison": comparison,
        "rows": rows,
        "notes": notes(comparison, rows),
        "figures": drawn,
        "effects": effects,
        "strips": strips(rows, problems),
    }


def _evaluations(comparisons: Sequence[Comparison]) -> dict[str, list[Mapping[str, Any]]]:
    """Scores on other images, a table for each set, scale and protocol, the highest PSNR first."""
    tables: dict[str, list[Mapping[str, Any]]] = {}
    seen = set()
    for run in (run for comparison in comparisons for run in comparison.runs):
        for row in run.evaluations:
            without_model = row.get("model") in ("input", "bicubic", "nearest", "lanczos")
            shown = {**row, "name": row["model"] if without_model else run.name, "without_model": without_model}
            title = f"{row['data']}, scale {row['scale']}, protocol {row['protocol']}"
            if (title, shown["name"]) not in seen:
                seen.add((title, shown["name"]))
                tables.setdefault(title, []).append(shown)
    return {title: sorted(rows, key=lambda row: -row["psnr"]) for title, rows in sorted(tables.items())}


def _table(sections: Sequence[Mapping[str, Any]], found: Found) -> list[dict[str, Any]]:
    rows = []
    for section in sections:
        comparison: Comparison = section["comparison"]
        about = {
            "table": section["number"],
            "protocol": comparison.protocol,
            "scale": comparison.scale,
            "data": comparison.fingerprint,
            "images": len(comparison.runs[0].images),
        }
        rows += [{**about, **_line(row)} for row in section["rows"]]
    unfinished = [{"name": cell.name, "status": cell.status, "reason": cell.reason} for cell in found.unfinished]
    return [*rows, *unfinished]


def _line(row: Row) -> dict[str, Any]:
    line: dict[str, Any] = {"rank": row.rank, "name": row.name, "status": "done" if row.run else "baseline"}
    for score in ("psnr", "ssim", "gain"):
        line[score], line[f"{score}_sd"] = getattr(row, score)
    line["gain_low"], line["gain_high"] = row.interval
    line |= {"p_against_best": row.p, "verdict": row.verdict}
    return line | _costs(row.run) if row.run else line


def _costs(run: Run) -> dict[str, Any]:
    result = run.result
    names = ("parameters", "multiply_adds", "ms_per_image", "train_seconds", "seconds", "steps", "epochs")
    model, loss, optimizer = run.levels
    return {
        **{"model": model, "loss": loss, "optimizer": optimizer, "folds": len(set(run.folds.values()))},
        **{name: getattr(result, name) for name in names},
        **{"git_commit": result.git_commit, "torch": result.versions.get("torch")},
        "command": result.command,
    }


def _spread(value: tuple[float, float | None], digits: int = 2, signed: bool = False) -> str:
    """A mean with its standard deviation, as far as there is one."""
    mean, sd = value
    text = f"{mean:+.{digits}f}" if signed else f"{mean:.{digits}f}"
    return text if sd is None else f"{text} ± {sd:.{digits}f}"


def _commit(commit: str | None) -> str:
    """A commit as people write it, and whether files differed from it.

    >>> _commit("0123456789abcdef-dirty")
    '0123456789 (and changes)'
    """
    if commit is None:
        return "unknown"
    return commit[:10] + (" (and changes)" if commit.endswith("-dirty") else "")


def _si(value: float | None, digits: int = 3) -> str:
    """Three significant digits with a thousands' letter.

    >>> _si(668227), _si(43.8e9), _si(3.14159), _si(None)
    ('668 k', '43.8 G', '3.14', '')
    """
    if value is None or math.isnan(value):
        return ""
    power = 0 if abs(value) < 1000 else min(4, int(math.log10(abs(value)) // 3))
    scaled = value / 1000**power
    places = max(0, digits - 1 - math.floor(math.log10(abs(scaled)))) if scaled else 0
    letter = ("", "k", "M", "G", "T")[power]
    return f"{scaled:.{places}f} {letter}".strip()
