"""Keys: a Redis database becomes a namespace of KV, and the record proves it."""

from towpath.keys.back import Back, carry_back, find_back
from towpath.keys.back_proof import Proved, prove_back
from towpath.keys.compare import compare
from towpath.keys.delta import Applied, Delta, apply, delta
from towpath.keys.export import export
from towpath.keys.inventory import Group, Inventory, inventory
from towpath.keys.load import Loaded, load
from towpath.keys.manifest import Chunk, Entry, Manifest, read
from towpath.keys.receipts import held
from towpath.keys.rules import RULES, KeyRule, decisions
from towpath.keys.source import Facts, connect, facts
from towpath.keys.target import Fingerprint, fingerprint

__all__ = [
    "RULES",
    "Applied",
    "Back",
    "Chunk",
    "Delta",
    "Entry",
    "Facts",
    "Fingerprint",
    "Group",
    "Inventory",
    "KeyRule",
    "Loaded",
    "Manifest",
    "Proved",
    "apply",
    "carry_back",
    "compare",
    "connect",
    "decisions",
    "delta",
    "export",
    "facts",
    "find_back",
    "fingerprint",
    "held",
    "inventory",
    "load",
    "prove_back",
    "read",
]
