"""MATLAB's bicubic, then a JPEG file by Pillow's encoder."""

from dataclasses import dataclass
from typing import ClassVar

from sr.data.degrade.encoders import Encoded


@dataclass(frozen=True)
class Jpeg(Encoded):
    """JPEG of a random quality (Real-ESRGAN's range, Wang et al. 2021, arXiv 2107.10833, section 4.1)."""

    file_format: ClassVar[str] = "JPEG"
