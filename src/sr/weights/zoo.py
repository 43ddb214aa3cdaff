"""The trained networks that ship with the package: weights as safetensors, and what is known of them as JSON."""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sr.errors import UserError
from sr.io.tables import aligned

FOLDER = Path(__file__).with_name("shipped")


@dataclass(frozen=True)
class Entry:
    """A trained network.

    Attributes:
        name: what ``-m`` and ``sr evaluate`` call it.
        weights: its file, which `sr.weights.checkpoint.load_network` reads.
        about: network, scales, parameters, command, data, commit, licence, and scores by data set and protocol.
    """

    name: str
    weights: Path
    about: dict[str, Any]


def entries() -> list[Entry]:
    """All of them by name.

    Raises:
        UserError: if the installation lacks a part of one.
    """
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        weights = path.with_suffix(".safetensors")
        if not weights.is_file():
            raise UserError(f"{weights}: is missing: install sr again")
        found.append(Entry(path.stem, weights, json.loads(path.read_text(encoding="utf-8"))))
    return found


def find(name: str) -> Path:
    """The weights of a network by its name.

    Raises:
        UserError: for a name that is none, naming those that are.
    """
    names = {entry.name: entry.weights for entry in entries()}
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        known = f", or a name of sr models: {', '.join(names)}" if names else ""
        raise UserError(f"{name}: no such checkpoint or run folder{known}{f'; {near[0]}?' if near else ''}")
    return names[name]


def render(found: list[Entry]) -> str:
    """The networks as a text table, a row for each of their scores."""
    lines = [("name", "network", "parameters", "data", "scale", "protocol", "PSNR dB", "SSIM", "bicubic")]
    for entry in found:
        for row in entry.about["scores"]:
            numbers = (f"{row['psnr']:.2f}", f"{row['ssim']:.4f}", f"{row['bicubic_psnr']:.2f}")
            network = (entry.name, entry.about["network"], f"{entry.about['parameters']:,}")
            lines.append((*network, row["data"], f"x{row['scale']}", row["protocol"], *numbers))
    return "\n".join(aligned(lines)) + "\n"
