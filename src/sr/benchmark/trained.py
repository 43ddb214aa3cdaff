"""Warn of scores on images that a model was trained on."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from sr.data.sources import Source
from sr.data.stores.fingerprint import content_hash
from sr.errors import UserError, some_of
from sr.runs.trained_on import images_behind, trained_among
from sr.weights.find import checkpoints_of
from sr.weights.model import Model

log = logging.getLogger(__name__)


def warn_of_trained(models: Sequence[Model], sources: Sequence[Source], digests: Mapping[Path, str], data: str) -> None:
    """Log a line for each model that was trained on some of the images, as far as its run folder tells.

    Args:
        models: what is scored; nothing is known of models that are not in their run folder.
        sources: the images that they are scored on.
        digests: content hash of each of their files.
        data: name of the data set.
    """
    tables = {model.label: _tables(model) for model in models}
    if not any(tables.values()):
        return
    images = [
        {
            "name": source.name,
            "hash": content_hash(source, digests),
            "hr_hash": content_hash(source, digests, hr_only=True),
        }
        for source in sources
    ]
    for label, behind in tables.items():
        if seen := trained_among(images, behind):
            log.warning(
                "WARNING: %s was trained on %d of the %d images of %s (%s): its scores are too good",
                *(label, len(seen), len(images), data, some_of(seen)),
            )


def _tables(model: Model) -> list[list[dict[str, str]]]:
    """The lists of the images that the networks of a model were trained on."""
    try:
        files = checkpoints_of(model.label)
    except UserError:  # its label is not its file: a model of others, or one that was built in Python
        return []
    return [table for file in files for table in images_behind(file)[0]]
