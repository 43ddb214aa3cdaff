"""Time to score an image under protocol y, against SSIM by torch's convolution of float64 and by scikit-image.

python -m scripts.bench.score                  # about a minute on one core; writes benchmarks/score.json
python -m scripts.bench.score --threads 1 2    # two threads need two idle cores
python -m scripts.bench.score --metrics        # the other metrics, too; writes benchmarks/metrics.json

Milliseconds, medians of interleaved rounds, for random images of the sizes of benchmark sets.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity
from torch import Tensor

from scripts.bench.timing import interleaved, save
from sr.benchmark.named_metrics import named_metrics
from sr.image import luma, quantise, resize
from sr.metrics import score, ssim
from sr.metrics.scoring import DEFAULT
from sr.train import config_dir

SIZES = {"Set5": (256, 256), "BSD100": (321, 481), "Urban100": (704, 1024), "DIV2K": (1404, 2040)}  # height, width
STRIP = 256  # rows that are convolved at a time, as sr did before it used matrix products


def images(height: int, width: int) -> tuple[Tensor, Tensor]:
    """A random RGB image and a noisy copy, ``(1, 3, height, width)``."""
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(1, 3, height, width, generator=generator)
    return (hr + 0.05 * torch.randn(hr.shape, generator=generator)).clamp(0, 1), hr


def ssim_by_convolution(sr: Tensor, hr: Tensor) -> Tensor:
    """SSIM of two ``(1, 1, H, W)`` of float64, with `torch.nn.functional.conv2d`."""
    offsets = torch.arange(-5, 6, dtype=torch.float64)
    window = torch.softmax(-(offsets**2) / (2 * 1.5**2), dim=0)

    def blur(image: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(image, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))

    total, rows = torch.zeros((), dtype=torch.float64), sr.shape[-2] - 10
    for top in range(0, rows, STRIP):
        x, y = (image[..., top : min(top + STRIP, rows) + 10, :] for image in (sr, hr))
        mean_x, mean_y = blur(x), blur(y)
        variances = blur(x * x) - mean_x * mean_x + blur(y * y) - mean_y * mean_y
        covariance = blur(x * y) - mean_x * mean_y
        brightness = (2 * mean_x * mean_y + 1e-4) / (mean_x * mean_x + mean_y * mean_y + 1e-4)
        total += (brightness * (2 * covariance + 9e-4) / (variances + 9e-4)).sum()
    return total / (rows * (sr.shape[-1] - 10))


def ssim_of_new_images(sr: Tensor, hr: Tensor) -> Tensor:
    """SSIM by `sr`, of copies: what metrics share is kept for the same tensors."""
    return ssim(sr.clone(), hr.clone())


def ssim_by_skimage(sr: Tensor, hr: Tensor) -> float:
    """SSIM of two ``(1, 1, H, W)`` of float64, by scikit-image."""
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    return float(structural_similarity(sr[0, 0].numpy(), hr[0, 0].numpy(), **settings))


def milliseconds(call: Callable[[], object]) -> float:
    """Duration of a call."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


def measure(name: str, rounds: int) -> dict[str, Any]:
    """A row of the table: milliseconds of each way, and how far it is from scikit-image."""
    sr, hr = images(*SIZES[name])
    x, y = (quantise(luma(quantise(image.double()))) for image in (sr, hr))
    calls: dict[str, Callable[[], object]] = {
        "SSIM, convolution": partial(ssim_by_convolution, x, y),
        "SSIM, scikit-image": partial(ssim_by_skimage, x, y),
        "SSIM, sr": partial(ssim_of_new_images, x, y),
        "PSNR and SSIM of RGB, sr": partial(score, sr, hr, "y", 2),
    }
    difference = abs(float(ssim(x, y)) - ssim_by_skimage(x, y))  # warm-up, too
    medians = interleaved({way: partial(milliseconds, call) for way, call in calls.items()}, rounds)
    row: dict[str, Any] = {"size": name, "threads": torch.get_num_threads(), **medians}
    row["convolution / sr"] = medians["SSIM, convolution"] / medians["SSIM, sr"]
    return row | {"from scikit-image": difference}


def measure_metrics(name: str, rounds: int) -> dict[str, Any]:
    """A row: milliseconds of PSNR and SSIM, and of these with each metric that needs no VGG, and with all of them.

    "As before" is with SSIM by torch's convolution, as `sr` scored before it had any other metric.
    """
    sr, hr = images(*SIZES[name])
    lr, metrics = resize(hr, 0.5), named_metrics(["all"], config_dir())
    chosen = {"PSNR and SSIM": DEFAULT}
    chosen |= {f"and {more}": {**DEFAULT, more: metrics[more]} for more in metrics if more not in DEFAULT}
    chosen["and all of these"] = metrics
    calls: dict[str, Callable[[], object]] = {
        way: partial(score, sr, hr, "y", 2, metrics=some, lr=lr) for way, some in chosen.items()
    }
    x, y = (quantise(luma(quantise(image.double()))) for image in (sr, hr))
    calls |= {"SSIM": partial(ssim_of_new_images, x, y), "SSIM, convolution": partial(ssim_by_convolution, x, y)}
    medians = interleaved({way: partial(milliseconds, call) for way, call in calls.items()}, rounds)
    before = medians["PSNR and SSIM"] - medians["SSIM"] + medians["SSIM, convolution"]
    row: dict[str, Any] = {"size": name, "threads": torch.get_num_threads(), **medians}
    row["all / PSNR and SSIM"] = medians["and all of these"] / medians["PSNR and SSIM"]
    return row | {"all / PSNR and SSIM as before": medians["and all of these"] / before}


def main() -> None:
    """Measure, print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--metrics", action="store_true", help="time all metrics that need no VGG; metrics.json")
    options = parser.parse_args()
    rows = []
    if options.metrics:
        torch.set_num_threads(options.threads[0])
        rows = [measure_metrics(name, options.rounds) for name in list(SIZES)[:3]]
        save("metrics", rows, rounds=options.rounds)
        return
    for threads in options.threads:
        torch.set_num_threads(threads)
        rows += [measure(name, options.rounds) for name in SIZES]
    save("score", rows, rounds=options.rounds)


if __name__ == "__main__":
    main()
