"""Add a trained network to those that ship with sr.

python -m scripts.release.publish runs/espcn_x3 espcn_x3 --data Set5 --trained-on "the 291 images of VDSR's authors"
"""

import argparse
import json
import sys
from pathlib import Path

from sr.benchmark.evaluate import evaluate
from sr.card import without_paths
from sr.errors import UserError
from sr.io.atomic import write_text
from sr.machine.cost import count_parameters, multiply_adds
from sr.runs.schema import RunResult, read_result
from sr.weights import zoo
from sr.weights.checkpoint import save_network
from sr.weights.community import open_network
from sr.weights.find import find_model

_MIN_GAIN = 0.5  # dB over bicubic on every data set and scale; a network that gains less is not shipped
_LICENCE = "MIT, as sr; the training images are for research"


def main() -> None:
    """Read the command line and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--trained-on", required=True)
    options = parser.parse_args()
    try:
        publish(options.run, options.name, options.data, options.trained_on)
    except UserError as error:
        sys.exit(f"error: {error}")


def publish(run: Path, name: str, data: list[Path], trained_on: str) -> None:
    """Score the best checkpoint of a run and write ``NAME.safetensors`` and ``NAME.json`` to `sr.weights.zoo`.

    Raises:
        UserError: if the run is not done, or does not clearly beat bicubic.
    """
    result = read_result(run)
    if not result or not result.is_done:
        raise UserError(f"{run}: is not the folder of a finished run")
    if result.total_steps is None:
        raise UserError(f"{run}: started from weights of unknown training: not shipped")
    net, config = open_network(run / "checkpoints" / "best.ckpt")
    scores = []
    for scale in config["scales"]:
        model = find_model(str(run), scale)
        for row in evaluate([model], data, scale=scale):
            if row.is_reference:
                bicubic = row
                continue
            gain = row.psnr - bicubic.psnr
            if gain < _MIN_GAIN:
                raise UserError(f"{run}: gains {gain:+.2f} dB on {row.data} x{scale}: not shipped below {_MIN_GAIN}")
            cost = multiply_adds(model.nets[0], scale)
            reference = {"bicubic_psnr": bicubic.psnr, "bicubic_ssim": bicubic.ssim}
            scores.append({**row.as_dict(), "model": name, **reference, "multiply_adds": cost})
            print(f"{name} on {row.data} x{scale}: {row.psnr:.2f} dB, {gain:+.2f} over bicubic")
    command, seconds = without_paths(str(result.command)), result.train_seconds
    if before := _initial_network(result):
        command, seconds = f"{before['command']} && {command}", before["train_seconds"] + seconds
    description = {
        "network": str(config["model"]["_target_"]).rpartition(".")[2],
        "scales": config["scales"],
        "parameters": count_parameters(net),
        "command": command,
        "trained_on": trained_on,
        "steps": result.total_steps,
        "train_seconds": seconds,
        "device": result.machine.get("gpu") or result.machine["processor"],
        "git_commit": result.git_commit,
        "versions": result.versions,
        "licence": _LICENCE,
        "scores": scores,
    }
    zoo.FOLDER.mkdir(exist_ok=True)
    save_network(zoo.FOLDER / f"{name}.safetensors", net, config)
    write_text(zoo.FOLDER / f"{name}.json", json.dumps(description, indent=2) + "\n")


def _initial_network(result: RunResult) -> zoo.Description | None:
    """The shipped network whose weights, or run folder of its name, a run was started from."""
    name = Path(result.initial.source).name if result.initial else None
    return next((entry.about for entry in zoo.entries() if entry.name == name), None)


if __name__ == "__main__":
    main()
