"""All kinds of requests that visitors send."""

from tests.support.demo_load.inputs import file_kinds, model_kinds
from tests.support.demo_load.raw import body_kinds, hang_up_kinds, path_kinds
from tests.support.demo_load.target import RequestKind
from tests.support.demo_load.uploads import content_kinds, file_name_kinds

HONEST = "honest 1"  # a small photograph


def request_kinds() -> dict[str, RequestKind]:
    """The kinds of requests by name."""
    return {
        **content_kinds(),
        **file_name_kinds(),
        **model_kinds(),
        **file_kinds(),
        **path_kinds(),
        **body_kinds(),
        **hang_up_kinds(),
    }
