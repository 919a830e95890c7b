"""What the unit tests of plan, runs and cli share.

toy     helpers.toy.Toy: a tiny project of its own for each test
"""

from helpers.toy import toy

__all__ = ["toy"]
