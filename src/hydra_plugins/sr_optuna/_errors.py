"""Errors of a search. Each message is a single line for the user."""


class SearchError(Exception):
    """The search cannot start with these options."""


class SearchFailedError(SearchError):
    """The search started, but had to stop or has no result."""
