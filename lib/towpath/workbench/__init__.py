"""What a notebook works at: the source, the target and the snapshots of one run, opened from its params.

Notebooks call this room, and it calls the surfaces; it holds the joints between them (rows that name files, one
fingerprint for database and bucket) and turns their values into what a reader sees.  Each phase has its module.
"""

from towpath.workbench.workbench import Workbench

__all__ = ["Workbench"]
