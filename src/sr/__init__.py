"""sr: train and compare image super-resolution models."""

from sr.api import compare as compare
from sr.api import evaluate as evaluate
from sr.api import fit as fit
from sr.api import load as load
from sr.version import __version__ as __version__
