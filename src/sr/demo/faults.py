"""Faults of a request to the demo: a sentence, and the control that shows it."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from sr.errors import UserError


class Place(StrEnum):
    """The controls that show faults."""

    MODELS = "models"
    PICTURE = "picture"
    TARGET = "target"
    BUTTON = "button"  # of what is nobody's input
    FOLDER = "folder"


class FaultError(UserError):
    """What is wrong with a request, to be shown at a control."""

    def __init__(self, place: Place, text: str) -> None:
        """Store the control, and the text as a sentence."""
        super().__init__(sentence(text))
        self.place = place


@contextmanager
def shown_at(place: Place, name: str = "") -> Iterator[None]:
    """Show the errors of a block at a control; ``name: `` at their beginning becomes the subject of the sentence."""
    try:
        yield
    except FaultError:
        raise
    except UserError as error:
        text = str(error)
        is_subject = name and text.startswith(f"{name}: ")
        raise FaultError(place, f"{name}{text[len(name) + 1 :]}" if is_subject else text) from error


def sentence(text: str) -> str:
    """A text with a capital at its beginning and a full stop at its end.

    >>> sentence("the picture cannot be read")
    'The picture cannot be read.'
    """
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
