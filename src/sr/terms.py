"""The terms that several folders share: protocols, parts of a data set, baselines, batches."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:  # this module has to be imported without torch, by the report
    from torch import Tensor


class Protocol(StrEnum):
    """How an output is scored; scores under two protocols never meet in one table."""

    RGB = "rgb"  # all channels, 8 bits, no border cut
    Y = "y"  # MATLAB's luma, 8 bits, a border of `scale` pixels cut: the literature's


class Part(StrEnum):
    """The parts of a data set."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@dataclass(frozen=True)
class Baseline:
    """An enlargement without a model, which every model has to beat.

    Attributes:
        prefix: of its columns in image tables, as in ``nearest_psnr``.
        kernel: of `sr.image.resize`.
        label: its name in tables.
    """

    prefix: str
    kernel: str
    label: str


# The first is the input as every model sees it. At scale 1 nothing is enlarged, and all would be the input itself.
BASELINES = (
    Baseline("input", "bicubic", "bicubic"),
    Baseline("nearest", "nearest", "nearest"),
    Baseline("lanczos", "lanczos", "Lanczos"),
)


class Batch(TypedDict):
    """Image pairs: uint8 as loaded, float32 RGB in [0, 1] once they are on the device.

    ``lr`` is ``(N, 3, h, w)``, ``hr`` ``(N, 3, scale*h, scale*w)``, ``name`` a list of N names.
    """

    lr: "Tensor"
    hr: "Tensor"
    name: list[str]


class StepOutput(TypedDict):
    """What a validation or test step hands to the callbacks.

    ``scores`` maps each score's name to a tensor ``(N,)``; ``sr`` is the unclamped output ``(N, 3, scale*h, scale*w)``.
    """

    part: Part
    name: list[str]
    scores: "dict[str, Tensor]"
    sr: "Tensor"
