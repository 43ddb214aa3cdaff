"""Random blur kernels, as Real-ESRGAN draws them (Wang et al. 2021, arXiv 2107.10833, sections 3.2, 3.4 and 4.1)."""

import math

import numpy as np

from sr.data.degrade.base import Interval, uniform
from sr.data.degrade.filters import gaussian, plateau, sinc

RADII = (3, 10)  # sizes of 7, 9, ... 21 pixels
CUTOFF = (math.pi / 3, math.pi)  # radians per pixel

_KINDS = ("gaussian", "generalised", "plateau")
_PROBABILITIES = (0.7, 0.15, 0.15)
_ANISOTROPIC = (0.25 / 0.7, 0.03 / 0.15, 0.03 / 0.15)  # of each kind
_BETA = {"generalised": (0.5, 4.0), "plateau": (1.0, 2.0)}
_LARGE = 6  # radius from which on the lowest cutoff of a sinc filter is pi / 5


def drawn_radius(random: np.random.Generator) -> int:
    """A radius, each as likely."""
    return int(random.integers(*RADII, endpoint=True))


def drawn_kernel(sigma: Interval, sinc_probability: float, random: np.random.Generator) -> np.ndarray:
    """A kernel to blur with.

    Gaussian kernels have a probability of 0.7, generalised Gaussian and plateau-shaped ones of 0.15 each.

    Args:
        sigma: range of the standard deviations, in pixels.
        sinc_probability: of a sinc filter instead.
        random: what is drawn from.

    Returns:
        A square of 7 to 21 pixels a side.
    """
    radius = drawn_radius(random)
    if random.random() < sinc_probability:
        return sinc(radius, float(random.uniform(math.pi / 5 if radius >= _LARGE else CUTOFF[0], CUTOFF[1])))
    number = int(random.choice(len(_KINDS), p=_PROBABILITIES))
    kind = _KINDS[number]
    sigmas, angle = (uniform(random, sigma), uniform(random, sigma)), float(random.uniform(-math.pi, math.pi))
    if random.random() >= _ANISOTROPIC[number]:
        sigmas = sigmas[0], sigmas[0]
    if kind == "gaussian":
        return gaussian(radius, sigmas, angle)
    low, high = _BETA[kind]
    beta = float(random.uniform(low, 1) if random.random() < 0.5 else random.uniform(1, high))  # flatter or not
    return gaussian(radius, sigmas, angle, beta) if kind == "generalised" else plateau(radius, sigmas, angle, beta)
