"""What a user knows of an ONNX network of others."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OnnxHints:
    """What the user says of an ONNX network of others; None where it has to be found out.

    Attributes:
        halo: low-resolution pixels around a tile that are enlarged with it.
        order: of its colours, ``rgb`` or ``bgr``.
        range: the value of white in its input, 1 or 255.
    """

    halo: int | None = None
    order: str | None = None
    range: int | None = None


UNKNOWN = OnnxHints()
