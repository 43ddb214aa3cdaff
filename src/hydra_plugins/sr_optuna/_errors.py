"""Errors of a search, each a message of one line for the user."""


class SearchError(Exception):
    """The search cannot start with these options."""


class SearchFailedError(SearchError):
    """The search started but gave no result, or had to stop."""
