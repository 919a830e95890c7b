"""What changed between two lists of objects, and bringing a bucket from the one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from towpath.checks import Check, Difference, Progress, silent
from towpath.objects.bucket import S3, Bucket, Listed
from towpath.objects.manifest import Entry
from towpath.objects.rules import AHEAD, RULES, SAMPLES, WORKERS
from towpath.objects.upload import Uploaded, send
from towpath.streams.ordered import side_by_side
from towpath.streams.pool import each


@dataclass(frozen=True, slots=True)
class Delta:
    """New and changed entries, entries that are gone, and the ETag that a changed one replaces.

    `asked`: the bucket was asked for each of them, and holds no object of ours under a key that `replaces` lacks.
    """

    put: tuple[Entry, ...]
    delete: tuple[Entry, ...]
    replaces: Mapping[str, str]
    unchanged: int
    asked: bool = False

    @property
    def bytes(self) -> int:
        """Bytes to send."""
        return sum(entry.size for entry in self.put)


@dataclass(frozen=True, slots=True)
class Applied:
    """A delta brought to the bucket.  `kept`: objects that should go but are not what the import left."""

    uploaded: Uploaded
    deleted: int
    gone: int  # were not there any more: deleted by an earlier attempt
    kept: tuple[Difference, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """The delta as rows of a phase's result."""
        keys = [difference.key for difference in self.kept][:SAMPLES]
        found = f"{self.deleted:,} deleted, {self.gone:,} gone before, {len(self.kept):,} kept"
        kept = RULES["OB304"].check(self.uploaded.bucket, "none kept", found, not self.kept, keys)
        return (*self.uploaded.checks, kept)


def delta(old: Iterable[Entry], new: Iterable[Entry]) -> Delta:
    """Compare two ascending lists of entries: manifests, or `entries(inventory)`.

    An entry whose content type or cache control changed is put again too.  Holds the differences in
    memory, not the lists.
    """
    put: list[Entry] = []
    delete: list[Entry] = []
    replaces: dict[str, str] = {}
    unchanged = 0
    for before, after in side_by_side(old, new):
        if after is None:
            assert before is not None
            delete.append(before)
        elif before is None:
            put.append(after)
        elif _as_object(before) == _as_object(after):
            unchanged += 1
        else:
            put.append(after)
            replaces[after.key] = before.etag
    return Delta(tuple(put), tuple(delete), MappingProxyType(replaces), unchanged)


def apply_delta(
    difference: Delta, root: Path, s3: S3, bucket: str, report: Progress = silent, workers: int = WORKERS
) -> Applied:
    """Bring a delta to the bucket; safe to repeat.

    A changed object is overwritten, and a removed one deleted, only while its ETag is the old manifest's; anything
    else is named and left alone.  `report` receives bytes sent, and 1 for each deletion.  Raises CannotFinish.
    """
    target = Bucket(s3, bucket)
    uploaded = send(_with_heads(target, difference, workers), root, target, difference.replaces, report, workers)
    deleted = gone = 0
    kept: list[Difference] = []
    deletions = each(
        lambda entry: (entry, _delete(target, entry)), difference.delete, workers, ahead=AHEAD, name="objects"
    )
    for entry, found in deletions:
        if found is None:
            gone += 1
        elif found == entry.etag:
            deleted += 1
        else:
            kept.append(Difference(bucket, entry.key, "etag", "changed", entry.etag, found))
        report(1)
    return Applied(uploaded, deleted, gone, tuple(kept))


def _as_object(entry: Entry) -> tuple[object, ...]:
    # a file renamed on disk to another Unicode form of the same key stays the same object
    return entry.size, entry.sha256, entry.etag, entry.content_type, entry.cache_control


def _with_heads(target: Bucket, difference: Delta, workers: int) -> Iterator[tuple[Entry, Listed | None]]:
    def look(entry: Entry) -> tuple[Entry, Listed | None]:
        if difference.asked and entry.key not in difference.replaces:
            return entry, None  # what came there since is met by the PUT, which creates and never replaces
        head = target.head(entry.key)
        return entry, Listed(entry.key, head["ContentLength"], head["ETag"].strip('"')) if head else None

    return each(look, difference.put, workers, ahead=AHEAD, name="objects")


def _delete(target: Bucket, entry: Entry) -> str | None:
    """Delete the entry's object if it is the one.  Returns the ETag that was found; None if there was no object."""
    head = target.head(entry.key)
    if head is None:
        return None
    etag = str(head["ETag"]).strip('"')
    if etag == entry.etag:
        # conditional too, for a service that honours it; the local runtime deletes whatever the condition says
        target.attempt(
            lambda: target.s3.delete_object(Bucket=target.name, Key=entry.key, IfMatch=f'"{etag}"'), entry.key
        )
    return etag
