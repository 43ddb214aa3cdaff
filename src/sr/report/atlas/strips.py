"""Crops of the photographs that the atlas names, from the runs that kept them."""

from collections.abc import Sequence

from sr.report.atlas.panels import Panel
from sr.report.atlas.photographs import Photograph
from sr.report.crops import Samples, Strip, samples_of, strip_of

_MOST = 12  # strips of a data set


def strips_of(panel: Panel, photographs: Sequence[Photograph]) -> dict[str, Strip]:
    """Crops of photographs by their anchors, as far as runs kept some: the configuration, and the best one beside it.

    Args:
        panel: validation images.
        photographs: the first belongs to the best configuration.
    """
    (comparison,) = panel.comparisons
    best = panel.configuration(comparison, photographs[0].configuration)
    samples: dict[str, Samples] = {}
    strips: dict[str, Strip] = {}
    for photograph in photographs:
        entry = panel.configuration(comparison, photograph.configuration)
        shown = [entry] if entry.name == best.name else [entry, best]
        for one in shown:
            if one.name not in samples:
                samples[one.name] = samples_of(one.runs[0], [])  # damaged files are named by the section of the runs
        images = [name for name in panel.images_of(photograph.name) if all(name in one.runs[0].images for one in shown)]
        for image in sorted(images, key=lambda name: entry.mean_of_image(name, "gain")):
            if strip := strip_of(image, shown, [samples[one.name] for one in shown], photograph.text):
                strips[photograph.anchor] = strip
                break
        if len(strips) == _MOST:
            break
    return strips
