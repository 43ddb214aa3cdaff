"""VGG16's features as torchvision lays them out, to compare with."""

from torch import nn

_PLAN = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
UP_TO_RELU4_3 = 23  # layers


def vgg_features(layers: int | None = None) -> nn.Sequential:
    """The first layers, or all of them, with torch's initial weights."""
    modules: list[nn.Module] = []
    width = 3
    for out in _PLAN:
        if isinstance(out, int):
            modules += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU()]
            width = out
        else:
            modules.append(nn.MaxPool2d(2))
    return nn.Sequential(*modules[:layers])
