"""Findings about folders of images, as a text table or JSON."""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from sr.io.atomic import reporting_unwritable, write_text
from sr.io.tables import aligned

# An error stops or spoils a run, a warning worsens its scores, a note is good to know.
ERROR, WARNING, NOTE = SEVERITIES = ("error", "warning", "note")

_MAX_SHOWN = 10  # findings of each kind in the table


@dataclass(frozen=True)
class Finding:
    """A problem with a file, and how to fix it.

    Attributes:
        severity: one of ``SEVERITIES``.
        kind: a word or two, the same for all findings of this kind.
        file: path of the file.
        message: what is wrong with it.
        fix: how to fix it.
    """

    severity: str
    kind: str
    file: str
    message: str
    fix: str


@dataclass
class Report:
    """The result of checking folders.

    Attributes:
        images: number of high-resolution images.
        scales: factor between the pairs of each folder; None if it has no pairs with a common factor.
        findings: sorted by severity, the worst first.
    """

    images: int
    scales: dict[str, int | None]
    findings: list[Finding]

    def count(self, severity: str) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """2 with errors, the exit code of bad input in all commands; 1 with warnings; otherwise 0."""
        return 2 if self.count(ERROR) else 1 if self.count(WARNING) else 0


def render(report: Report) -> str:
    """Format the findings as a text table, at most ten of each kind, with a summary as the last line."""
    rows, hint = [], ""
    by_kind: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_kind[finding.severity, finding.kind].append(finding)
    for (severity, kind), findings in by_kind.items():
        rows += [(severity, kind, f"{item.file}: {item.message}: {item.fix}") for item in findings[:_MAX_SHOWN]]
        if len(findings) > _MAX_SHOWN:
            rows.append((severity, kind, f"and {len(findings) - _MAX_SHOWN} more"))
            hint = "; --json FILE lists all"
    counts = ", ".join(_plural(report.count(severity), severity) for severity in SEVERITIES)
    scales = sorted({scale for scale in report.scales.values() if scale})
    at_scale = f" at scale {', '.join(map(str, scales))}" if scales else ""
    summary = f"{_plural(report.images, 'image')}{at_scale}: {counts}{hint}"
    return "".join(f"{line}\n" for line in [*aligned(rows), summary])


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def write_json(report: Report, path: Path) -> None:
    """Write all findings.

    Raises:
        UserError: if the file cannot be written.
    """
    content = {
        "images": report.images,
        "scales": report.scales,
        "counts": {severity: report.count(severity) for severity in SEVERITIES},
        "findings": [asdict(finding) for finding in report.findings],
    }
    with reporting_unwritable(path):
        write_text(path, json.dumps(content, indent=2) + "\n")
