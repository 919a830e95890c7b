"""The seeded generator: the same seed and scale give the same rows, keys, jobs and files."""

from .generate import MARKER, Generated, NotOurs, generate
from .scales import SCALES, Scale

__all__ = ["MARKER", "SCALES", "Generated", "NotOurs", "Scale", "generate"]
