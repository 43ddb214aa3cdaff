"""Which degradation makes the low resolution of a test set."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace

from sr.data.degrade.base import Degradation, full_key, name_of
from sr.data.degrade.bicubic import BICUBIC
from sr.data.degrade.configured import build
from sr.data.sources import Source
from sr.errors import UserError
from sr.weights.model import Model
from sr.weights.trust import is_allowed

log = logging.getLogger(__name__)


def degraded_as(models: Sequence[Model]) -> Degradation:
    """The degradation that all models were trained on; bicubic if they record none.

    Raises:
        UserError: if they differ.
    """
    different = {json.dumps(model.degrade, sort_keys=True): model for model in models}
    built = {full_key(degradation): degradation for degradation in map(_degradation_of, different.values())}
    if len(built) > 1:
        raise UserError(
            f"the models were trained on different degradations, {' and '.join(sorted(built))}: name those to "
            "score them on with --degrade, or evaluate them one at a time"
        )
    return next(iter(built.values()), BICUBIC)


def _degradation_of(model: Model) -> Degradation:
    try:
        return build(model.degrade, is_allowed) if model.degrade else BICUBIC
    except UserError as error:
        raise UserError(f"{model.label}: {error}") from error


def trained_on(model: Model) -> str:
    """The key of the degradation that a model was trained on: that of bicubic if it records none.

    Of one by a package that is not trusted here, the name.
    """
    try:
        return full_key(_degradation_of(model))
    except UserError:
        return str((model.degrade or {}).get("_target_", ""))


def unpaired(
    sources: Sequence[Source], label: str, name: str | None, degradation: Degradation
) -> tuple[list[Source], str]:
    """The images whose low resolution is to be derived, and what tables call the set.

    Args:
        sources: the images of the set.
        label: of the set.
        name: of a degradation that was asked for: files of low resolution are left aside, with a warning.
        degradation: that one, or the one of the models, which leaves files as they are, with a warning.
    """
    paired = sum(source.lr is not None for source in sources)
    if name is not None:
        if paired:
            log.warning("%s: its files of low resolution are not used: --degrade %s derives it", label, name)
        return [replace(source, lr=None) for source in sources], f"{label} ({name})"
    if degradation == BICUBIC:
        return list(sources), label
    name = name_of(degradation)
    if paired:
        log.warning("%s: %d of %d images have files of low resolution, not %s", label, paired, len(sources), name)
    return list(sources), label if paired == len(sources) else f"{label} ({name})"
