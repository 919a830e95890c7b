"""What each file was when it was read, so that while writes are frozen only what changed since is read again.

As in git's index: a file whose device, inode, size, modification time and change time are what they were when it was
read holds what it held.  That is believed only where the operating system promises it: on file systems of this
machine (`LOCAL`), and for a file whose change time lay well before the reading began, so that a later write cannot
have the same one.  Whatever else there is, is read again.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from towpath.errors import BadInput
from towpath.objects.content import Content, Mark, below
from towpath.objects.inventory import SEEN, Inventory
from towpath.objects.manifest import Manifest
from towpath.streams import kept
from towpath.streams.whole import AGAIN

KIND = "towpath files as they were read"
TICK_NS = 2_000_000_000  # twice as coarse as the clock of any of these file systems: ext3 counts seconds
# Each of these gives a file a new change time at its first write through a mapping, too, once its pages are on disk.
# tmpfs and ZFS do not; with NFS, SMB, FUSE and the like another machine decides, and answers may be old.
LOCAL = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "xfs"})
MOUNTS = Path("/proc/self/mountinfo")
_TYPES = (str, str, int, int, int, str, str, str, int | None, str)


def settle(root: Path) -> int | None:
    """Make changes that are under way tell: the moment from which on a write gives a file another change time.

    To be called before the files are read.  None where the file system does not promise that.
    """
    if not tells_changes(root):
        return None
    before = time.time_ns()
    # A page that is written through a mapping and waits for the disk takes further writes without a new change time.
    os.sync()
    return before - TICK_NS


def keep_seen(path: Path, inventory: Inventory, manifest: Manifest) -> None:
    """Write down, beside the list of objects that was made of it, the files of an inventory that may be believed."""
    rows = inventory.db.execute(f"SELECT {SEEN} FROM file WHERE settled ORDER BY path")

    def fill(add: kept.Add) -> None:
        for row in rows:
            add(row)

    kept.keep(path, KIND, {"manifest": manifest.digest}, fill)


def read_seen(path: Path, manifest: Manifest) -> kept.Kept:
    """Open the list that belongs to a list of objects.  Raises BadInput when it is missing, damaged or another's."""
    found = kept.read(path, KIND, _TYPES)
    if found.told.get("manifest") != manifest.digest:
        raise BadInput("belongs to another list of objects", object=str(path), next=AGAIN)
    return found


def content_of(row: Sequence[Any]) -> Content:
    """What a row of such a list says, behind its path."""
    inode, size, mtime_ns, ctime_ns, sha256, md5, etag, part_size, content_type = row
    mark = Mark(inode, size, mtime_ns, ctime_ns)
    return Content(size, sha256, md5, etag, part_size, content_type, mark)


def tells_changes(root: Path) -> bool:
    """True if the root, and whatever is mounted below it, lies on file systems that are in `LOCAL`."""
    real = os.path.realpath(os.fsencode(root))
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:  # not Linux
        return False
    holds, kind = b"", ""
    for line in lines:
        before, _, after = line.partition(b" - ")
        point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), before.split(b" ")[4])
        found = after.split(b" ")[0].decode("ascii", "replace")
        if below(point, real) and point != real and found not in LOCAL:
            return False
        if below(real, point) and len(point) >= len(holds):  # the last of several at one place is the one that shows
            holds, kind = point, found
    return kind in LOCAL
