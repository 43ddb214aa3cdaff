"""Run folders with known scores, written without training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sr.io.run_folder import RunFolder
from sr.io.samples import Crops, Square, write_samples
from sr.io.tables import write_table
from sr.runs.schema import RunResult, Status, write_result
from sr.runs.scores import over_images
from sr.terms import DataSummary, Part

INPUT_PSNR = {"a": 26.0, "b": 28.0, "c": 30.0, "d": 27.0}  # 25 for all other images
FINGERPRINT = "0123456789abcdef"
TILE_SIDES = (8, 6)  # sides of the crops in samples.png, alternating
INPUT_GRAY, TARGET_GRAY = 100, 120  # of the first crops in samples.png; the crops of image n are brighter by n

# The group `metrics` of a run, as far as the report reads it.
_WITH_LPIPS = {
    "psnr": {"label": "PSNR", "unit": "dB", "digits": 2, "higher_is_better": True, "rope": 0.05},
    "ssim": {"label": "SSIM", "digits": 4, "higher_is_better": True, "rope": 0.001},
    "lpips": {"label": "LPIPS", "digits": 3, "higher_is_better": False, "rope": 0.002},
}


def config(fold: int | str = "all", seed: int = 23, **data: Any) -> dict[str, Any]:
    """The part of a run's config that the report reads."""
    return {"seed": seed, "data": {"folds": 2, "fold": fold, "shrink": 2, **data}}


def data(count: int, near_identical: Sequence[list[str]] = (), fingerprint: str = FINGERPRINT) -> DataSummary:
    """A data set with ``count`` validation images."""
    return DataSummary(fingerprint, {Part.TRAIN: 0, Part.VAL: count, Part.TEST: 0}, list(near_identical))


class RunFolders:
    """Writes run folders with known scores in a root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(
        self,
        name: str,
        gains: Sequence[float],
        *,
        names: Sequence[str] = "abcdefghijklmnopqrstuvwxyz",
        folds: Sequence[int] | None = (0, 0, 1, 1),
        seed: int = 23,
        groups: Sequence[str] | None = None,
        baselines: Mapping[str, float] | None = None,
        curve: Sequence[Mapping[str, float]] | None = None,
        output_gray: int | None = None,
        lpips: float | None = None,
        **changes: Any,
    ) -> Path:
        """Write a finished run.

        Args:
            name: its folder, ``model_loss_optimizer`` with any suffix.
            gains: gain of each validation image over its input, dB.
            names: names of the images.
            folds: fold of each image; None for a run that trained fold 0 alone.
            seed: the seed of its training.
            groups: the photograph of each image; None for a table without that column.
            baselines: gain of further baselines by the prefix of their columns.
            curve: rows of ``metrics.csv``; by default two epochs that reach half and all of the mean gain.
            output_gray: gray value of the first output in ``samples.png``; None to leave the file out.
            lpips: distance of each image, less 0.01 of its gain; the input has 0.5. None leaves the metric out.
            changes: fields of the record to replace.
        """
        folder = RunFolder(self.root / name)
        folder.path.mkdir(parents=True)
        images: list[dict[str, Any]] = []
        for number, (image, gain) in enumerate(zip(names, gains, strict=False)):
            base = INPUT_PSNR.get(image, 25.0)
            row = {"name": image, "psnr": base + gain, "ssim": 0.8 + gain / 100}
            row |= {"input_psnr": base, "input_ssim": 0.8, "gain": gain, "epoch": 1}
            for prefix, difference in (baselines or {}).items():
                row |= {f"{prefix}_psnr": base + difference, f"{prefix}_ssim": 0.7}
            if lpips is not None:
                row |= {"lpips": lpips - gain / 100, "input_lpips": 0.5}
                row |= {f"{prefix}_lpips": 0.6 for prefix in baselines or {}}
            row |= {"group": groups[number]} if groups else {}
            images.append(row | ({"fold": folds[number]} if folds else {}))
        write_table(folder.images, images)
        mean = float(np.mean(gains))
        default_curve = [{"epoch": epoch, "val/gain": mean * epoch / 2} for epoch in (1, 2)]
        write_table(folder.metrics, default_curve if curve is None else curve)
        metrics = {"metrics": _WITH_LPIPS} if lpips is not None else {}
        result = _result(folder.path.name, images, config("all" if folds else 0, seed) | metrics)
        write_result(folder.path, replace(result, **changes))
        if output_gray is not None:
            write_samples(folder.samples, _gray_samples([row["name"] for row in images], output_gray))
        return folder.path


def _result(name: str, images: Sequence[Mapping[str, Any]], config_dict: dict[str, Any]) -> RunResult:
    model, loss, optimizer = name.split("_")[:3]
    return RunResult(
        status=Status.DONE,
        config=config_dict,
        choices={"model": model, "loss": loss, "optimizer": optimizer},
        loss=loss,
        data=data(len(images)),
        scores={Part.VAL: over_images(images)},
        parameters=24_195,
        multiply_adds=1_579_155_456,
        ms_per_image=12.5,
        train_seconds=60.0,
        seconds=90.0,
        steps=100,
        epochs=2,
        git_commit="f" * 40,
        versions={"torch": "2.13.0", "lightning": "2.6.6", "python": "3.11.2"},
        machine={"processor": "one"},
        command=f"python -m sr.train model={model} loss={loss} optimizer={optimizer}",
    )


def _gray_samples(names: Sequence[str], output_gray: int) -> list[tuple[Square, Crops]]:
    rows = []
    for number, name in enumerate(names):
        side = TILE_SIDES[number % len(TILE_SIDES)]
        grays = (INPUT_GRAY, output_gray, TARGET_GRAY)
        crops = Crops(*(np.full((side, side, 3), gray + number, np.uint8) for gray in grays))
        rows.append((Square(name, 0, 0, side), crops))
    return rows
