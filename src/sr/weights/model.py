"""What a model is, whatever runs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # exported networks are run without torch
    from torch import nn

MOST_SCALE = 64  # of a network; the file may be untrusted


@dataclass(frozen=True)
class Model:
    """What enlarges images: trained networks, or plain resizing.

    Attributes:
        label: its name in tables.
        scale: factor between input and output.
        nets: the network, or one for each seed and fold; empty for plain resizing. Of torch, or, for what runs without
            it, a single `sr.weights.onnx.network.ExportedNetwork`.
        trainings: for a run folder, the folder of each network relative to it: ``seed_23/fold_0``, or ``.``.
        run: the run folder it comes from, if any.
        weights_hash: hash of its checkpoints, for a run folder.
        shrink: at scale 1, how far its input was shrunk in training before it was enlarged again, if that is recorded.
        degrade: config of the degradation that made its input in training; None for the default.
    """

    label: str
    scale: int
    nets: "Sequence[nn.Module]" = ()
    run: Path | None = None
    shrink: int | None = None
    weights_hash: str = ""
    trainings: Sequence[str] = ()
    degrade: dict[str, object] | None = None

    @property
    def is_foreign_onnx(self) -> bool:
        """Whether it is an ONNX network of others, which hints are for."""
        return any(hasattr(net, "is_foreign_onnx") for net in self.nets)
