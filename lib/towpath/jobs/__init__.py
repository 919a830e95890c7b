"""Jobs: what waits in Celery's queues goes to a queue of Cloudflare, each job once, and the record proves it."""

from towpath.jobs.back import Back, Given, Held, Proved, carry_jobs_back, find_back, prove_jobs_back
from towpath.jobs.broker import Broker, Consumer
from towpath.jobs.compare import compare
from towpath.jobs.delta import Applied, Delta, apply_delta, delta, known
from towpath.jobs.drain import Drained, drain
from towpath.jobs.export import Exported, export
from towpath.jobs.inventory import Inventory, Seen, State, inventory
from towpath.jobs.load import Loaded, load
from towpath.jobs.manifest import Disposition, Entry, Manifest, read, write
from towpath.jobs.push import Push
from towpath.jobs.quiet import QUIET, Quiet, wait_until_quiet
from towpath.jobs.rules import RULES
from towpath.jobs.target import arrived

__all__ = [
    "QUIET",
    "RULES",
    "Applied",
    "Back",
    "Broker",
    "Consumer",
    "Delta",
    "Disposition",
    "Drained",
    "Entry",
    "Exported",
    "Given",
    "Held",
    "Inventory",
    "Loaded",
    "Manifest",
    "Proved",
    "Push",
    "Quiet",
    "Seen",
    "State",
    "apply_delta",
    "arrived",
    "carry_jobs_back",
    "compare",
    "delta",
    "drain",
    "export",
    "find_back",
    "inventory",
    "known",
    "load",
    "prove_jobs_back",
    "read",
    "wait_until_quiet",
    "write",
]
