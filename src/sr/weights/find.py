"""Find a trained model: a checkpoint, a run folder, an exported network, one shipped with the package, or of others."""

import logging
from pathlib import Path

import torch

from sr.errors import UserError
from sr.io.hashes import files_hash
from sr.io.run_folder import RunFolder
from sr.weights import zoo
from sr.weights.community import CommunityNetwork, open_network
from sr.weights.model import Model
from sr.weights.onnx.hints import UNKNOWN, OnnxHints
from sr.weights.onnx.network import check_scale, exported_model
from sr.weights.onnx.providers import CPU
from sr.weights.onnx.session import is_exported

log = logging.getLogger(__name__)


MODEL_SUFFIXES = frozenset({".ckpt", ".onnx", ".pt", ".pth", ".safetensors"})


def checkpoints_of(name: str) -> list[Path]:
    """The weights of a model: a checkpoint, the best one of a run folder or of each of its folds, or a shipped network.

    Raises:
        UserError: if there are none.
    """
    path = Path(name)
    if not path.is_dir():
        return [path if path.is_file() else zoo.find(name)]
    run = RunFolder(path)
    files = run.best_checkpoints
    if not files:
        missing = run.best.relative_to(path)
        raise UserError(f"{path}: no {missing} in it: name a checkpoint, or the folder of a finished run")
    return files


def scales_of(name: str) -> list[int]:
    """The factors that a model enlarges by; none for an ONNX file, which has one, known once it is loaded.

    Raises:
        UserError: if there is no such model.
    """
    path = Path(name)
    if path.suffix.lower() == ".onnx" and path.is_file():
        return []
    scales: list[int] = open_network(checkpoints_of(name)[0], None)[1]["scales"]
    return scales


def _onnx_model(path: Path, scale: int | None, hints: OnnxHints, provider: str) -> Model:
    from sr.weights.onnx.exported import OnnxNetwork  # slow to import
    from sr.weights.onnx.foreign import ForeignOnnxNetwork

    if is_exported(path):
        return exported_model(path, OnnxNetwork(path, provider), scale)
    weights_hash = files_hash([path])
    net = ForeignOnnxNetwork(path, hints, provider)
    check_scale(path, net.scale, scale)
    log.warning("%s: %s", path, net.about())
    return Model(path.stem, net.scale, [net], weights_hash=weights_hash)


def find_model(
    name: str, scale: int | None = None, hints: OnnxHints = UNKNOWN, *, provider: str | None = None
) -> Model:
    """Load a checkpoint, an exported network, a shipped network, or the best of a run folder or of each of its folds.

    What is found out about a model of others is logged in one line.

    Args:
        name: its path or name.
        scale: factor to enlarge by; may be None if the model was trained for only one.
        hints: what is known of an ONNX network of others; the rest is found by trying.
        provider: what runs an ONNX network, see `sr.weights.onnx.session.new_session`; None is the CPU.

    Raises:
        UserError: if there is no such model, ``scale`` does not select one of its scales, or there is no such provider.
    """
    path = Path(name)
    if path.suffix.lower() == ".onnx" and path.is_file():
        return _onnx_model(path, scale, hints, provider or CPU)
    if provider:
        raise UserError(f"--provider {provider}: is for ONNX files; PyTorch runs {name}: choose with --device")
    nets = []
    checkpoints = checkpoints_of(name)
    run = path if path.is_dir() else None
    weights_hash = files_hash(checkpoints)  # before they are loaded: a running training replaces them
    for file in checkpoints:
        net, config = open_network(file, scale)
        if scale is None and len(config["scales"]) > 1:
            raise UserError(f"{name}: enlarges by {', '.join(map(str, config['scales']))}: choose with --scale")
        nets.append(net.to(memory_format=torch.channels_last))  # type: ignore[call-overload]
    label = str(path)
    if isinstance(nets[0], CommunityNetwork):
        label = path.stem
        log.warning("%s: %s", path, nets[0].about())
    trainings = [file.parent.parent.relative_to(run).as_posix() for file in checkpoints] if run else []
    degrade = config.get("degrade")
    return Model(label, scale or config["scale"], nets, run, config.get("shrink"), weights_hash, trainings, degrade)
