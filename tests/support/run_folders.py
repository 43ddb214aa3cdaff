"""Run folders of known scores, written without training."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sr.io.tables import write_table

INPUT = {"a": 26.0, "b": 28.0, "c": 30.0, "d": 27.0}  # PSNR of the untouched images


class RunFolders:
    """Makes run folders of known scores under one place."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(
        self,
        name: str,
        gains: Sequence[float],
        *,
        folds: Sequence[int] | None = (0, 0, 1, 1),
        baselines: Mapping[str, float] | None = None,
        samples: bool = False,
        **changes: Any,
    ) -> Path:
        """A finished run named model_loss_optimizer whose images gain that much over their input."""
        folder = self.root / name
        folder.mkdir(parents=True)
        model, loss, optimizer = folder.name.split("_")[:3]
        names = [f"{chr(ord('a') + number)}" for number in range(len(gains))]
        images: list[dict[str, Any]] = []
        for number, (image, gain) in enumerate(zip(names, gains, strict=True)):
            base = INPUT.get(image, 25.0)
            row = {"name": image, "psnr": base + gain, "ssim": 0.8 + gain / 100}
            row |= {"input_psnr": base, "input_ssim": 0.8, "gain": gain, "epoch": 1}
            for other, difference in (baselines or {}).items():
                row |= {f"{other}_psnr": base + difference, f"{other}_ssim": 0.7}
            images.append(row | ({"fold": folds[number]} if folds else {}))
        write_table(folder / "images.csv", images)
        curve = [{"epoch": epoch, "val/gain": float(np.mean(gains)) * (epoch + 1) / 2} for epoch in range(2)]
        write_table(folder / "metrics.csv", curve)
        result = {
            "status": "done",
            "config": {"data": {"folds": 2, "fold": "all" if folds else 0, "shrink": 2}},
            "choices": {"model": model, "loss": loss, "optimizer": optimizer},
            "loss": loss,
            "protocol": "rgb",
            "scale": 1,
            "data": {"fingerprint": "0123456789abcdef", "images": {"val": len(gains)}, "near_identical": []},
            "scores": {"val": {"gain": {"mean": float(np.mean(gains))}}},
            "parameters": 24_195,
            "multiply_adds": 1_579_155_456,
            "ms_per_image": 12.5,
            "train_seconds": 60.0,
            "seconds": 90.0,
            "steps": 100,
            "epochs": 2,
            "git_commit": "f" * 40,
            "versions": {"torch": "2.13.0", "lightning": "2.6.6", "python": "3.11.2"},
            "machine": {"processor": "one"},
            "command": f"python -m sr.train model={model} loss={loss} optimizer={optimizer}",
        }
        (folder / "result.json").write_text(json.dumps({**result, **changes}))
        if samples:
            self._samples(folder, names)
        return folder

    def _samples(self, folder: Path, names: Sequence[str]) -> None:
        sheet = np.zeros((8 * len(names), 24, 3), np.uint8)
        sheet[:, :8], sheet[:, 8:16], sheet[:, 16:] = 100, 110, 120
        text = PngInfo()
        rows = [{"name": name, "top": 0, "left": 0, "side": 8} for name in names]
        text.add_text("sr", json.dumps({"side": 8, "rows": rows}))
        Image.fromarray(sheet).save(folder / "samples.png", pnginfo=text)
