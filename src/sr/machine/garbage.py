"""How often Python searches for garbage."""

import gc

_NEW_OBJECTS = 20_000  # by default, 700 to 2,000 depending on the version of Python


def search_rarely() -> None:
    """Search for garbage after more new objects than by default.

    Importing torch and Lightning makes objects by the hundred thousand, all of which stay: searching them again and
    again while they become more is a fifth of the time. Memory is kept in reference cycles of at most so many new
    objects for longer; what a cycle does not hold is freed at once, as always.
    """
    gc.set_threshold(_NEW_OBJECTS)
