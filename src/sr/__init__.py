"""sr: train and compare image super-resolution models."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sr.version import __version__ as __version__

if TYPE_CHECKING:
    from pathlib import Path

    from sr.inference.enlarger import Enlarger
    from sr.report.sections import Board


def load(name: str, scale: int | None = None, *, trust: Iterable[str] = (), **options: Any) -> "Enlarger":
    """Load a trained model as a callable that enlarges Pillow images, numpy arrays and tensors.

    Args:
        name: a name of ``sr models``, a checkpoint, a run folder, or the folder of a sweep: its best cell, which is
            named in a warning.
        scale: factor of the sides, for a model trained for several.
        trust: packages whose classes a checkpoint may name, for the rest of this process.
        options: of `sr.inference.enlarger.Enlarger`: ``tile``, ``ensemble``, ``device``, ``precision``.

    Raises:
        sr.errors.UserError: if there is no such model.
    """
    from sr.inference.enlarger import Enlarger  # torch takes seconds to import
    from sr.runs.best import model_path
    from sr.weights.find import find_model
    from sr.weights.trust import trust as trust_packages

    trust_packages(trust)
    return Enlarger(find_model(model_path(name), scale), **options)


def compare(
    *folders: "str | Path", score: str = "psnr", rope: float | None = None, reference: str | None = None
) -> "list[Board]":
    """Compare the finished runs below some folders, as ``sr report`` does, without writing a report.

    Args:
        folders: of sweeps or runs, at any depth.
        score: what to decide by, ``psnr`` or ``ssim``.
        rope: differences up to this are practically equivalent; None: 0.05 dB, or 0.001 of SSIM.
        reference: what every configuration is compared with, besides the best one; None: the strongest baseline.

    Returns:
        A leaderboard for each set of validation images, then one for each benchmark set that ``sr evaluate`` scored:
        with its ``headline``, its ``rows``, and the verdict on every pair in ``analysis.pairs``. ``print`` shows it.

    Raises:
        sr.errors.UserError: if a folder has no finished run, or a file cannot be read.
    """
    from pathlib import Path

    from sr.report.page import compared
    from sr.report.sections import Settings

    return compared([Path(folder) for folder in folders], Settings(score, rope, reference))
