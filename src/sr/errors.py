"""Errors that end a run with one line instead of a traceback, the checks that raise them, and their formatting."""

import difflib
from collections.abc import Iterable, Sequence

_LONGEST = 200  # characters of untrusted text shown in a message
_MOST_SUGGESTIONS = 3


class UserError(ValueError):
    """The user's input has to change: what is wrong, where, and how to fix it, in one line."""


class DivergedError(RuntimeError):
    """Training produced a loss or a weight that is not finite."""


class PrunedError(RuntimeError):
    """A search stopped this trial because it is unpromising."""


def close_names(name: str, names: Iterable[str]) -> list[str]:
    """The names that are close to a wrong one, whatever their case; never the name itself.

    >>> close_names("Modle", ["model", "mode", "loss"]), close_names("loss", ["loss"])
    (['mode', 'model'], [])
    """
    by_lower_case = {other.lower(): other for other in names if other != name}
    return [by_lower_case[word] for word in difflib.get_close_matches(name.lower(), by_lower_case)]


def did_you_mean(names: Sequence[str]) -> str:
    """The end of a message about a wrong name: what was perhaps meant; empty if there is nothing.

    >>> did_you_mean(["espcn_x2", "espcn_x3", "espcn_x4"])
    '; did you mean espcn_x2, espcn_x3 or espcn_x4?'
    """
    *others, last = names[:_MOST_SUGGESTIONS] or [""]
    return f"; did you mean {' or '.join(filter(None, [', '.join(others), last]))}?" if last else ""


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first of some names, and how many more there are.

    >>> listed(["a", "b", "c", "d"]), listed(["a"])
    ('a, b, c and 1 more', 'a')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(count: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "image"), counted(2, "image")
    ('1 image', '2 images')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def some_of(names: Sequence[str], most: int = 3) -> str:
    """The first of some names, as examples.

    >>> some_of(["a", "b", "c", "d"]), some_of(["a"])
    ('a, b, c, ...', 'a')
    """
    return ", ".join([*names[:most], *(["..."] if len(names) > most else [])])


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse an option outside its choices, naming both."""
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(map(str, choices))}, got {value!r}")


def check_at_least(name: str, value: object, least: int) -> None:
    """Refuse anything but an integer of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UserError(f"{name} must be an integer of {least} or more, got {value!r}")


def line_of(error: BaseException) -> str:
    """Return an error's message as one printable line; its text may come from an untrusted file."""
    text = str(error).strip().partition("\n")[0] or type(error).__name__
    return shortened("".join(letter if letter.isprintable() else "?" for letter in text))


def shortened(text: str) -> str:
    """A text, cut where it would fill a screen.

    >>> len(shortened("a" * 1000))
    203
    """
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
