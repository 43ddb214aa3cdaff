"""The errors that end a run with one line instead of a traceback."""


class UserError(ValueError):
    """The user's input has to change: what is wrong, where, and how to mend it, in one line."""


class DivergedError(RuntimeError):
    """Training produced a loss or a weight that is not finite."""
