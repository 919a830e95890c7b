"""What the unit tests share.

toy                           helpers.toy.Toy: a tiny project of its own for each test
served, jobs_d1, push         helpers.worker_side: Personality Spark's Worker in a real runtime
open_folder, ordinary_user    helpers.ordinary
"""

from helpers.ordinary import open_folder, ordinary_user
from helpers.toy import toy
from helpers.worker_side import jobs_d1, push, served

__all__ = ["jobs_d1", "open_folder", "ordinary_user", "push", "served", "toy"]
