"""Hostile ``*.ckpt`` files: configs with foreign targets or absurd arguments."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tests.support.hostile.checkpoints import MODEL, checkpoint, serialized, weights

_TARGETS = (
    *("os.system", "subprocess.Popen", "builtins.exec", "sr.train.main", "sr.nets", "sr.nets.", "sr.nets.espcn"),
    *("sr.nets.espcn.torch.hub.load", "sr.nets.espcn.nn.Conv2d", "sr.nets.espcn.resize", "sr.nets.espcn.OutputConv"),
    *("sr.nets.layers.OutputConv", "sr.nets.edsr._Block", "sr.nets...os.system", "sr.nets.espcn.ESPCN.__init__"),
    *("sr.nets.none.None", "sr.nets.espcn.\x1b[2JESPCN", "sr.nets." + "a" * 10**6, "", None, 7, ["os.system"]),
)


def foreign_targets(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Models whose target is not a network of sr."""
    for target in _TARGETS:
        target_text = repr(target)
        model = {"_target_": target, "command": f"touch {marker}"}
        yield f"target {target_text if len(target_text) < 60 else target_text[:20]}", serialized(checkpoint(model))


def absurd_arguments(marker: Path) -> Iterator[tuple[str, bytes]]:
    """A network of sr with arguments that are too large, of another type, or objects to build."""
    deep = _nested_list(300)
    program = {"_target_": "os.system", "command": f"touch {marker}"}
    for option, value in (
        *(("channels", 10**9), ("channels", 10**30), ("channels", -1), ("channels", 0), ("channels", 2.5)),
        *(("channels", True), ("channels", "8"), ("channels", None), ("channels", [8]), ("channels", {"a": 1})),
        *(("num_blocks", 10**7), ("num_blocks", 4096), ("scale", 10**6), ("scale", -1), ("scale", 0)),
        *(("scale", True), ("scale", 2.0), ("scale", "2"), ("scale", program)),
        *(("activation", program), ("activation", "x" * 10**7)),
        *(("activation", "__import__('os')"), ("head", deep), ("head", float("nan")), ("self", 1), ("__class__", 1)),
        *((7, 7), ("a\x1b[2J\nb", 1)),
    ):
        yield f"{option!r} = {repr(value)[:40]}", serialized(checkpoint({**MODEL, option: value}))


def absurd_configs() -> Iterator[tuple[str, bytes]]:
    """Configs whose model is too large or missing, or whose other entries are of another type."""
    model: Any
    for name, model in (
        ("VDSR of 1,024 blocks", {"_target_": "sr.nets.vdsr.VDSR", "scale": 2, "num_blocks": 1024}),
        ("EDSR of 1,024 blocks", {"_target_": "sr.nets.edsr.EDSR", "num_blocks": 1024, "channels": 1024, "scale": 2}),
        ("autoencoder without a number", {"_target_": "sr.nets.autoencoder.Autoencoder", "dropout": float("nan")}),
        ("model that is a list", [MODEL]),
        ("no model", None),
    ):
        yield name, serialized(checkpoint(model))
    scales: Any
    for scales in (10**9, "2", [2, True], [2, 10**6], [{}], list(range(1, 10**5))):
        yield f"scales {repr(scales)[:20]}", serialized(checkpoint(scales=scales))
    yield "protocol that is a list", serialized(checkpoint(protocol=_nested_list(300)))
    yield "config that is a tensor", serialized({"sr": torch.zeros(3), "state_dict": weights()})


def _nested_list(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested
