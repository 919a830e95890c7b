"""What the unit tests of plan, runs, cli and jobs share.

toy                     helpers.toy.Toy: a tiny project of its own for each test
served, jobs_d1, push   helpers.worker_side: Personality Spark's Worker in a real runtime
"""

from helpers.toy import toy
from helpers.worker_side import jobs_d1, push, served

__all__ = ["jobs_d1", "push", "served", "toy"]
