"""Metrics: how good outputs are, under a named protocol."""

from sr.metrics.pixels import PSNR_CAP, psnr
from sr.metrics.scoring import Metric, Scorer, score
from sr.metrics.structure import ssim

__all__ = ["PSNR_CAP", "Metric", "Scorer", "psnr", "score", "ssim"]
