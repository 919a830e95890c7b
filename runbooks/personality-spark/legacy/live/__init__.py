"""Personality Spark at work: the changes that a running application makes between an export and its cutover."""

from .shift import CHANGES, LEAST_CHANGES, NoWrites, Worked, live

__all__ = ["CHANGES", "LEAST_CHANGES", "NoWrites", "Worked", "live"]
