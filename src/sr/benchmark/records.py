"""Folders that keep the scores of what is no run, for a report: shipped models, files of weights, finished pictures."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from sr.benchmark.contenders import Contender
from sr.benchmark.rows import folder_name
from sr.errors import UserError
from sr.io.atomic import write_text
from sr.io.run_folder import RunFolder
from sr.weights.find import MODEL_SUFFIXES
from sr.weights.model import Model

log = logging.getLogger(__name__)


def check_records(record: Path, models: Sequence[Model], contenders: Sequence[Contender] = ()) -> None:
    """Check that scores can be kept in a folder, before anything is scored; say so if none will be.

    Raises:
        UserError: if two would have the same folder, or a folder holds something else.
    """
    labels: dict[Path, str] = {}
    sources = [(model.label, _source(model, None)) for model in models if not model.run]
    sources += [(contender.name, {"outputs": str(contender.folder)}) for contender in contenders]
    for label, source in sources:
        folder = _folder(record, label, source)
        if other := labels.get(folder.path):
            raise UserError(f"{other} and {label} would both be recorded in {folder.path}: rename one of them")
        labels[folder.path] = label
    if not sources:
        log.warning("--record is not used: every model has a run folder, which keeps its scores")


def record_of(record: Path, model: Model, outputs: Path | None) -> RunFolder:
    """Make the folder for the scores of a model, or of finished pictures, and say in it whose they are.

    Raises:
        UserError: if it holds something else.
    """
    source = _source(model, outputs)
    folder = _folder(record, model.label, source)
    folder.path.mkdir(parents=True, exist_ok=True)
    write_text(folder.contender, json.dumps({"name": _short_name(model.label), **source}, indent=2) + "\n")
    return folder


def _source(model: Model, outputs: Path | None) -> dict[str, str]:
    return {"outputs": str(outputs)} if outputs else {"weights": model.label, "hash": model.weights_hash}


def _folder(record: Path, label: str, source: dict[str, str]) -> RunFolder:
    folder = RunFolder(record / folder_name(_short_name(label)))
    if folder.result.is_file():
        raise UserError(f"{folder.path}: holds a run, and no scores of {label} (--record): choose another folder")
    try:
        kept = json.loads(folder.contender.read_text(encoding="utf-8")) if folder.contender.is_file() else source
    except ValueError:  # damaged: it will be written anew
        kept = source
    kind = "outputs" if "outputs" in source else "hash"
    if kept.get(kind) != source[kind]:
        what = f"the pictures in {kept['outputs']}" if "outputs" in kept else f"other weights, {kept.get('weights')}"
        raise UserError(f"{folder.path}: holds the scores of {what} (--record): delete it, or choose another folder")
    return folder


def _short_name(label: str) -> str:
    """The name of a program, a shipped model or a file of weights in a report."""
    return Path(label).stem if Path(label).suffix.lower() in MODEL_SUFFIXES else label
