"""Jobs: what waits in Celery's queues goes to a queue of Cloudflare, each job once, and the record proves it."""

from towpath.jobs.broker import Broker, Consumer
from towpath.jobs.compare import compare
from towpath.jobs.delta import Applied, Delta, apply_delta, delta, known
from towpath.jobs.drain import Drained, drain
from towpath.jobs.export import Exported, export
from towpath.jobs.inventory import Inventory, Seen, State, inventory
from towpath.jobs.load import Loaded, load
from towpath.jobs.manifest import Disposition, Entry, Manifest, read, write
from towpath.jobs.push import Push
from towpath.jobs.rules import RULES
from towpath.jobs.target import arrived

__all__ = [
    "RULES",
    "Applied",
    "Broker",
    "Consumer",
    "Delta",
    "Disposition",
    "Drained",
    "Entry",
    "Exported",
    "Inventory",
    "Loaded",
    "Manifest",
    "Push",
    "Seen",
    "State",
    "apply_delta",
    "arrived",
    "compare",
    "delta",
    "drain",
    "export",
    "inventory",
    "known",
    "load",
    "read",
    "write",
]
