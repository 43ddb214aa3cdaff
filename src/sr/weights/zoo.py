"""The trained networks shipped with the package: weights as safetensors, descriptions as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from sr.errors import UserError, close_names, did_you_mean
from sr.io.tables import aligned

FOLDER = Path(__file__).with_name("shipped")


class Score(TypedDict):
    """What a network scores on a data set at one scale, beside bicubic; PSNR in dB.

    ``multiply_adds`` are those of one 256x256 output, see `sr.machine.cost.multiply_adds`.
    """

    model: str
    data: str
    scale: int
    protocol: str
    psnr: float
    ssim: float
    images: int
    ms_per_image: float
    bicubic_psnr: float
    bicubic_ssim: float
    multiply_adds: int


class Description(TypedDict):
    """How a network was trained and what it scores."""

    network: str
    scales: list[int]
    parameters: int
    command: str
    trained_on: str
    steps: int
    train_seconds: float
    device: str
    git_commit: str | None
    versions: dict[str, str]
    licence: str
    scores: list[Score]


@dataclass(frozen=True)
class Entry:
    """A trained network.

    Attributes:
        name: its name on the command line.
        weights: file for `sr.weights.checkpoint.load_network`.
        about: its description.
    """

    name: str
    weights: Path
    about: Description

    @property
    def gain(self) -> float:
        """Its largest gain over bicubic, in dB; 0 without scores."""
        return max((row["psnr"] - row["bicubic_psnr"] for row in self.about["scores"]), default=0.0)


def entries() -> list[Entry]:
    """List all shipped networks, sorted by name.

    Raises:
        UserError: if the weights of one are missing from the installation.
    """
    shipped = []
    for path in sorted(FOLDER.glob("*.json")):
        weights = path.with_suffix(".safetensors")
        if not weights.is_file():
            raise UserError(f"{weights}: is missing: reinstall sr")
        shipped.append(Entry(path.stem, weights, json.loads(path.read_text(encoding="utf-8"))))
    return shipped


def find(name: str) -> Path:
    """Path of the weights of a shipped network.

    Raises:
        UserError: if there is no network of this name; the message lists the names.
    """
    names = {entry.name: entry.weights for entry in entries()}
    if name not in names:
        raise UserError(
            f"{name}: no such checkpoint, run folder, model of others (*.pth, *.onnx), or name of sr models "
            f"({', '.join(names)})"
            f"{did_you_mean(close_names(name, names))}"
        )
    return names[name]


def render(networks: list[Entry]) -> str:
    """The networks as a text table, a row for each of their scores.

    Scores that can be compared stand together, the largest gain over bicubic first, and the cheaper of equal ones.
    """
    rows = [(entry, row, row["psnr"] - row["bicubic_psnr"]) for entry in networks for row in entry.about["scores"]]
    rows.sort(key=lambda row: (row[1]["data"], row[1]["scale"], -round(row[2], 2), row[1]["multiply_adds"]))
    lines = [("data", "scale", "name", "network", "parameters", "multiply-adds", "protocol", "PSNR dB", "gain", "SSIM")]
    for entry, row, gain in rows:
        cost = (f"{entry.about['parameters']:,}", f"{row['multiply_adds'] / 1e9:.2f} G")
        scores = (f"{row['psnr']:.2f}", f"{gain:+.2f}", f"{row['ssim']:.4f}")
        lines.append(
            (row["data"], f"x{row['scale']}", entry.name, entry.about["network"], *cost, row["protocol"], *scores)
        )
    return "\n".join(aligned(lines)) + "\n\ngain: dB over bicubic. multiply-adds: of a 256x256 output.\n"
