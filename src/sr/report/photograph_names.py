"""What tells the photographs of benchmark sets apart, under whatever name or degradation they were scored."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sr.report.run import Evaluation


def contents_of(evaluation: Evaluation) -> Sequence[str]:
    """What tells the images of a set from others: their content, or the names of the set and the image."""
    data_set = evaluation.data_set or evaluation.data
    return evaluation.contents or [f"{data_set}/{name}" for name in evaluation.names]


def named_photographs(evaluations: Mapping[str, Evaluation]) -> dict[str, dict[str, str]]:
    """A name for each photograph of each set: the same where an image has the same high resolution.

    So do those of the degradations of a set, and of a folder before and after it grew, but not those of two sets that
    happen to have one name.

    Args:
        evaluations: one of each set, by the label of the set.

    Returns:
        By the label, and by the photograph's name in its set.
    """
    known: dict[str, str] = {}
    named: dict[str, dict[str, str]] = {}
    for label, entry in evaluations.items():
        of_group: dict[str, list[str]] = defaultdict(list)
        for group, content in zip(entry.groups, contents_of(entry), strict=True):
            of_group[group].append(content)
        for group, contents in of_group.items():
            name = next((known[content] for content in contents if content in known), f"{label}/{group}")
            named.setdefault(label, {})[group] = name
            known |= dict.fromkeys(contents, name)
    return named
