"""Objects: a directory of files becomes a bucket of R2, and the record proves it."""

from towpath.objects.back import Back, carry_files_back, find_back
from towpath.objects.bucket import Bucket, Fingerprint, Listed, fingerprint
from towpath.objects.closure import Closure, closure, target_closure
from towpath.objects.compare import compare
from towpath.objects.delta import Applied, Delta, apply_delta, delta
from towpath.objects.inventory import File, Inventory
from towpath.objects.manifest import CACHE_CONTROL, Entry, Manifest, entries, read, write
from towpath.objects.proved import Before, read_proved
from towpath.objects.rules import RULES
from towpath.objects.seen import keep_seen, read_seen, settle
from towpath.objects.upload import Uploaded, upload
from towpath.objects.walk import walk
from towpath.streams.kept import Kept

__all__ = [
    "CACHE_CONTROL",
    "RULES",
    "Applied",
    "Back",
    "Before",
    "Bucket",
    "Closure",
    "Delta",
    "Entry",
    "File",
    "Fingerprint",
    "Inventory",
    "Kept",
    "Listed",
    "Manifest",
    "Uploaded",
    "apply_delta",
    "carry_files_back",
    "closure",
    "compare",
    "delta",
    "entries",
    "find_back",
    "fingerprint",
    "keep_seen",
    "read",
    "read_proved",
    "read_seen",
    "settle",
    "target_closure",
    "upload",
    "walk",
    "write",
]
