"""The numbers of the atlas as plain values, for programs."""

import math
from typing import Any, TypeAlias

from sr.report.atlas.build import Atlas, AtlasSection
from sr.report.atlas.degradations import Matrix
from sr.report.board import Difference
from sr.report.statistics import Interval

Numbers: TypeAlias = dict[str, Any]


def atlas_numbers(atlas: Atlas) -> Numbers:
    """All of them; an infinite end of an interval is None."""
    return {
        "examined": atlas.findings.examined,
        "not_examined": list(atlas.findings.left_out),
        "findings": [
            {
                **{"configuration": entry.configuration, "place": entry.place, "data": entry.data},
                **{"metric": entry.metric.label, "deficit": entry.deficit, "change": entry.change},
                **{"least": entry.least, "photographs": entry.photographs, "trainings": entry.trainings},
            }
            for entry in atlas.findings.weaknesses
        ],
        "sections": [_section(section) for section in atlas.sections],
        "missing": [{"what": entry.text, "command": entry.command} for entry in atlas.missing],
    }


def _section(section: AtlasSection) -> Numbers:
    return {
        "title": section.panel.title,
        "matrix": _matrix(section.matrix) if section.matrix else None,
        "slopes": [
            {"configuration": slope.configuration, "mean": slope.mean, **_ends(slope.interval)}
            for slope in section.difficulty.slopes
        ],
        "photographs": [
            {name: value for name, value in vars(entry).items() if name != "anchor"}
            for entry in section.difficulty.photographs
        ],
        "planes": [
            {
                "degradation": plane.degradation,
                "metric": plane.metric.label,
                "points": [
                    {
                        **{"name": point.name, "on_front": point.on_front, "psnr": point.psnr},
                        **_ends(point.psnr_interval, "psnr_"),
                        "perceptual": point.perceptual,
                        **_ends(point.perceptual_interval, "perceptual_"),
                    }
                    for point in plane.points
                ],
            }
            for plane in section.planes
        ],
    }


def _matrix(matrix: Matrix) -> Numbers:
    return {
        "columns": list(matrix.columns),
        "rows": [
            {
                **{"name": row.name, "trained_on": row.trained_on, "trainings": row.trainings},
                "cells": [cell and {**_gain(cell.gain), "is_own": cell.is_own} for cell in row.cells],
            }
            for row in matrix.rows
        ],
    }


def _gain(gain: Difference) -> Numbers:
    return {"gain": gain.mean, **_ends(gain.interval)}


def _ends(interval: Interval, prefix: str = "") -> Numbers:
    return {
        f"{prefix}{name}": end if math.isfinite(end) else None
        for name, end in zip(("low", "high"), interval, strict=True)
    }
