"""Find a trained model: a checkpoint, a run folder, or a network that ships with the package."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from sr import zoo
from sr.checkpoint import load_network
from sr.errors import UserError

_BEST = Path("checkpoints", "best.ckpt")


@dataclass(frozen=True)
class Model:
    """Something that enlarges.

    Attributes:
        label: its name in tables.
        scale: factor of the sides.
        nets: the network, or one of each fold; none for a resize without a model.
        run: the run folder it comes from, if it does.
    """

    label: str
    scale: int
    nets: Sequence[nn.Module] = ()
    run: Path | None = None


def find_model(name: str, scale: int | None = None) -> Model:
    """A checkpoint, a run folder with its best one or with one of each fold, or a network of `sr.zoo` by its name.

    Args:
        name: its path or name.
        scale: factor that it is to enlarge by; None for the only one that it was trained for.

    Raises:
        UserError: if there is none, it was trained for another scale, or for several and none is named.
    """
    path = Path(name)
    run = path if path.is_dir() else None
    if run:
        files = [run / _BEST] if (run / _BEST).is_file() else sorted(run.glob(f"fold_*/{_BEST}"))
        if not files:
            raise UserError(f"{run}: no {_BEST} in it: name a checkpoint, or the folder of a run that has trained")
    else:
        files = [path if path.is_file() else zoo.find(name)]
    nets = []
    for file in files:
        net, config = load_network(file, scale)
        if scale is None and len(config["scales"]) > 1:
            raise UserError(f"{name}: enlarges by {', '.join(map(str, config['scales']))}: choose with --scale")
        nets.append(net.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
    return Model(str(path), scale or config["scale"], nets, run)
