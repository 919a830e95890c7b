"""The seeded generator: the same seed and scale give the same rows and files."""

from runbooks.joan.legacy.generator.generate import MARKER, Generated, NotOurs, generate
from runbooks.joan.legacy.generator.scales import SCALES, Scale

__all__ = ["MARKER", "SCALES", "Generated", "NotOurs", "Scale", "generate"]
