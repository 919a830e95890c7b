"""Objects: a directory of files becomes a bucket of R2, and the record proves it."""

from towpath.objects.back import Back, carry_files_back, find_back
from towpath.objects.bucket import Bucket, Fingerprint, Listed, fingerprint
from towpath.objects.closure import Closure, closure, target_closure
from towpath.objects.compare import compare
from towpath.objects.delta import Applied, Delta, apply_delta, delta
from towpath.objects.inventory import File, Inventory
from towpath.objects.manifest import CACHE_CONTROL, Entry, Manifest, entries, read, write
from towpath.objects.rules import RULES
from towpath.objects.upload import Uploaded, upload
from towpath.objects.walk import walk

__all__ = [
    "CACHE_CONTROL",
    "RULES",
    "Applied",
    "Back",
    "Bucket",
    "Closure",
    "Delta",
    "Entry",
    "File",
    "Fingerprint",
    "Inventory",
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
    "read",
    "target_closure",
    "upload",
    "walk",
    "write",
]
