"""sr: train and compare image super-resolution models."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sr.version import __version__ as __version__

if TYPE_CHECKING:
    from sr.inference.enlarger import Enlarger


def load(name: str, scale: int | None = None, *, trust: Iterable[str] = (), **options: Any) -> "Enlarger":
    """Load a trained model as a callable that enlarges Pillow images, numpy arrays and tensors.

    Args:
        name: a name of ``sr models``, a checkpoint, a run folder, or the folder of a sweep: its best cell, which is
            named in a warning.
        scale: factor of the sides, for a model trained for several.
        trust: packages whose classes a checkpoint may name, for the rest of this process.
        options: of `sr.inference.enlarger.Enlarger`: ``tile``, ``ensemble``, ``device``, ``precision``.

    Raises:
        sr.errors.UserError: if there is no such model.
    """
    from sr.inference.enlarger import Enlarger  # torch takes seconds to import
    from sr.runs.best import model_path
    from sr.weights.find import find_model
    from sr.weights.trust import trust as trust_packages

    trust_packages(trust)
    return Enlarger(find_model(model_path(name), scale), **options)
