"""MATLAB's bicubic, then a WebP file by Pillow's encoder."""

from dataclasses import dataclass
from typing import ClassVar

from sr.data.degrade.encoders import Encoded


@dataclass(frozen=True)
class WebP(Encoded):
    """WebP of a random quality (RFC 9649; the range is that of JPEG)."""

    file_format: ClassVar[str] = "WebP"
