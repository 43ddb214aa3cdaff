"""How a search may end other than well, each in one line for its user."""


class SearchError(Exception):
    """Options that have to change."""


class SearchFailedError(SearchError):
    """A search that came to no result, or to no more of them."""
