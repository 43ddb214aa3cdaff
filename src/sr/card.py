"""A folder of weights with a model card, in the layout of model hubs: README.md, config.json, model.safetensors."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

from sr.errors import UserError
from sr.io.atomic import write_text
from sr.io.run_folder import RunFolder
from sr.runs.schema import RunResult, read_result
from sr.runs.scores import unbeaten
from sr.terms import Part
from sr.version import __version__
from sr.weights import zoo
from sr.weights.checkpoint import save_network
from sr.weights.community import CommunityNetwork, open_network
from sr.weights.trust import needs_trust, package_of

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
_FILES = (WEIGHTS, CONFIG, CARD)
_UNKNOWN = "unknown"
_DATA_FOLDER = re.compile(r"data\.\w*(root|res|dir|folders)")
_PATH = re.compile(r"(?<![^\[,{: ])(?:(?:~|\.\.?)?/|[A-Za-z]:[\\/])[^,\]}]*")  # a value, or an item of a list
_FOLDER_OF_CONFIGS = re.compile(r"(?<=file://)[^,\]]*")


def write_card(source: Path, folder: Path, scale: int | None = None) -> list[str]:
    """Write the weights of a checkpoint, its config and its card.

    Args:
        source: a checkpoint of a run, or a shipped network.
        folder: a new or an empty one.
        scale: for a network trained for several.

    Returns:
        What the card could not say, a line each.

    Raises:
        UserError: if the checkpoint cannot be used, is a model of others, or the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is not empty: --card writes {', '.join(_FILES)} to a new folder")
    net, config = open_network(source, scale)
    if isinstance(net, CommunityNetwork):
        raise UserError(f"{source}: is a model of others: its authors have to write its card")
    shipped = next((entry for entry in zoo.entries() if entry.weights == source), None)
    result = None if shipped else _record_of(source)
    name = shipped.name if shipped else folder.resolve().name
    about = _of_shipped(shipped) if shipped else _of_run(result) if result else {}
    card = _card(name, dict(config), about)
    folder.mkdir(parents=True, exist_ok=True)
    save_network(folder / WEIGHTS, net, config, {"format": "pt", "library": f"sr {__version__}"})
    write_text(folder / CONFIG, json.dumps({"library_name": "sr", **config}, indent=2) + "\n")
    write_text(folder / CARD, card)
    missing = [] if about else ["no record of its training: the card says neither data nor scores"]
    licence = [] if shipped else ["licence: unknown: name it in README.md before you publish"]
    return missing + licence


def _record_of(checkpoint: Path) -> RunResult | None:
    """The record of the run whose best checkpoint it is: the scores are not those of any other file."""
    folder = checkpoint.resolve().parent.parent
    return read_result(folder) if RunFolder(folder).best == checkpoint.resolve() else None


def _of_shipped(entry: zoo.Entry) -> dict[str, Any]:
    about = entry.about
    rows = [
        (f"{row['data']} x{row['scale']}, {row['protocol']}", row["psnr"], row["bicubic_psnr"])
        for row in about["scores"]
    ]
    return {"licence": about["licence"].partition(",")[0], "data": about["trained_on"], "command": about["command"]} | {
        "parameters": about["parameters"],
        "rows": rows,
    }


def _of_run(result: RunResult) -> dict[str, Any]:
    rows, losing = [], ""
    for part, scores in result.scores.items():
        if "psnr" not in scores:
            continue
        rows.append((f"{part} images, {result.protocol}", scores["psnr"].mean, scores["input_psnr"].mean))
        losing = losing or unbeaten(scores)
    data = result.config.get("data", {})
    kind = result.choices.get("data") or _UNKNOWN
    images = f", {result.data.images[Part.TRAIN]} images" if result.data else ""
    return {
        "licence": None,
        "data": f"data={kind}{images}, split by photograph with data.split_seed={data.get('split_seed', _UNKNOWN)}",
        "command": without_paths(result.command or ""),
        "parameters": result.parameters,
        "rows": rows,
        "loses_to": losing,
    }


def without_paths(command: str) -> str:
    """A command without the places of one machine: where images and weights were, and the run folder.

    >>> without_paths("python -m sr.train 'data.root=/my images' init=runs/a/best.ckpt hydra.run.dir=/y scale=2")
    'python -m sr.train data.root=DIR init=best.ckpt scale=2'
    >>> without_paths("sr train vgg_weights=/home/eva/vgg.pth trust=[~/p,q] hydra/launcher=joblib")
    "sr train vgg_weights=vgg.pth 'trust=[p,q]' hydra/launcher=joblib"
    >>> without_paths("sr train --config-dir=/home/eva/conf 'hydra.searchpath=[file:///home/eva/more,pkg://nets.conf]'")
    "sr train --config-dir=conf 'hydra.searchpath=[file://more,pkg://nets.conf]'"
    """
    words = []
    for word in shlex.split(command):
        name, equals, value = word.partition("=")
        if name in ("hydra.run.dir", "hydra.sweep.dir", "run_dir"):
            continue
        if name == "init":
            value = Path(value).name
        elif _DATA_FOLDER.fullmatch(name):
            value = "DIR"
        path = _FOLDER_OF_CONFIGS if name == "hydra.searchpath" else _PATH
        words.append(f"{name}{equals}{path.sub(_last_name, value)}")
    return shlex.join(words)


def _last_name(path: re.Match[str]) -> str:
    return re.split(r"[/\\]", path[0].rstrip("/\\"))[-1]


def _card(name: str, config: dict[str, Any], about: dict[str, Any]) -> str:
    """The card: a header that hubs read, then what it does, how to use it, what it scores and how it was trained."""
    licence = about.get("licence")
    scales = " or ".join(f"x{scale}" for scale in config["scales"])
    does = "sharpens pictures and keeps their size" if config["scales"] == [1] else f"enlarges pictures {scales}"
    header = ["---", "library_name: sr", "pipeline_tag: image-to-image", "tags: [super-resolution]"]
    header += [f"license: {licence.lower()}"] if licence else []
    target = str(config["model"]["_target_"])
    network = target.rpartition(".")[2]
    parameters = f", {about['parameters']:,} parameters" if about.get("parameters") else ""
    lines = [*header, "---", "", f"# {name}", "", f"{network}{parameters}: {does}.", ""]
    if about.get("loses_to"):
        lines += [f"**It does not beat {about['loses_to']}: no model at all would be better.**", ""]
    predict = ["sr", "predict", "photo.jpg", "-m", WEIGHTS, "-o", "large.png"]
    if len(config["scales"]) > 1:
        predict += ["--scale", str(config["scales"][0])]
    if needs_trust(target):
        predict += ["--trust", package_of(target)]
    lines += ["```bash", "pip install sr-compare", shlex.join(predict), "```", ""]
    if about.get("rows"):
        lines += ["| data, protocol | PSNR dB | input (bicubic) | gain dB |", "|---|---|---|---|"]
        lines += [f"| {label} | {psnr:.2f} | {base:.2f} | {psnr - base:+.2f} |" for label, psnr, base in about["rows"]]
        lines += [""]
    lines += [f"Trained on: {about.get('data') or _UNKNOWN}.", ""]
    if about.get("command"):
        lines += ["```bash", about["command"], "```", ""]
    lines += [] if licence else ["Licence: unknown.", ""]
    return "\n".join(lines)
