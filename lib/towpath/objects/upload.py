"""Files into a bucket: resumable, exactly once, and never over an object that is not ours.

The bucket itself is the receipt.  An object under its key with the manifest's ETag, size and SHA-256 is done and is
skipped; an object with anything else is named and left alone.  A PUT carries the manifest's MD5, so that the service
refuses a file that changed since the export: nothing half written, nothing wrong ever appears under a key.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from towpath.checks import Check, Difference, Progress, silent
from towpath.errors import CannotFinish
from towpath.objects import content
from towpath.objects.bucket import S3, Bucket, Listed, RefusedError
from towpath.objects.compare import METADATA, NAMED, unlike
from towpath.objects.manifest import Entry, Manifest
from towpath.objects.rules import AHEAD, RULES, SAMPLES, WORKERS
from towpath.streams.ordered import side_by_side
from towpath.streams.pool import each


class Outcome(StrEnum):
    """What became of one object."""

    SENT = "sent"
    SKIPPED = "skipped"  # it was there already, equal
    CONFLICT = "conflict"  # something else is there; it was not touched


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The result of an upload that came to its end.  `conflicts` names at most 10,000 differences."""

    bucket: str
    objects: int
    sent: int
    skipped: int
    conflicting: int
    bytes_sent: int
    conflicts: tuple[Difference, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """The upload as rows of a phase's result."""
        done = self.sent + self.skipped
        found = f"{done:,} ({self.sent:,} sent, {self.skipped:,} there before)"
        keys = tuple(dict.fromkeys(difference.key for difference in self.conflicts))[:SAMPLES]
        return (
            RULES["OB301"].check(self.bucket, f"{self.objects:,}", found, done == self.objects),
            RULES["OB302"].check(self.bucket, "none", f"{self.conflicting:,}", not self.conflicting, keys),
        )


def upload(
    manifest: Manifest, root: Path, s3: S3, bucket: str, report: Progress = silent, workers: int = WORKERS
) -> Uploaded:
    """Bring every object of the manifest into the bucket; safe to repeat after any interruption.

    `root` is the directory that was walked.  `report` receives bytes, skipped ones too.  Raises CannotFinish when the
    bucket cannot be used (with the next step), or a file is gone or changed since the export (OB303, named).
    """
    target = Bucket(s3, bucket)
    pairs = side_by_side(manifest, target.list(manifest.prefixes))
    found = ((entry, there) for entry, there in pairs if entry is not None)
    return send(found, root, target, {}, report, workers)


def send(
    objects: Iterable[tuple[Entry, Listed | None]],
    root: Path,
    target: Bucket,
    replaces: Mapping[str, str],
    report: Progress,
    workers: int,
) -> Uploaded:
    """Send entries, each with what the bucket holds under its key now.

    `replaces`: key → ETag of an object that may be overwritten, and only while it still has that ETag.
    """
    tally: Counter[str] = Counter()
    conflicts: list[Difference] = []

    def one(pair: tuple[Entry, Listed | None]) -> tuple[Entry, Outcome, list[Difference]]:
        entry, there = pair
        return entry, *_place(target, root, entry, there, replaces.get(entry.key))

    for entry, outcome, differences in each(one, objects, workers, ahead=AHEAD, name="objects"):
        tally["objects"] += 1
        tally[outcome] += 1
        tally["bytes"] += entry.size if outcome is Outcome.SENT else 0
        conflicts += differences[: NAMED - len(conflicts)]
        report(entry.size)
    return Uploaded(
        bucket=target.name,
        objects=tally["objects"],
        sent=tally[Outcome.SENT],
        skipped=tally[Outcome.SKIPPED],
        conflicting=tally[Outcome.CONFLICT],
        bytes_sent=tally["bytes"],
        conflicts=tuple(conflicts),
    )


def _place(
    target: Bucket, root: Path, entry: Entry, there: Listed | None, replaces: str | None
) -> tuple[Outcome, list[Difference]]:
    condition = {"IfNoneMatch": "*"}
    if there is not None:
        different = _differences(target, entry)
        if not different:
            return Outcome.SKIPPED, []
        if there.etag != replaces:
            return Outcome.CONFLICT, different
        condition = {"IfMatch": f'"{replaces}"'}
    try:
        _put(target, root, entry, condition)
    except RefusedError as refused:
        if refused.status != 412:
            raise _changed(entry) from refused
        # Somebody was faster: perhaps our own request, whose answer was lost.
        different = _differences(target, entry)
        return (Outcome.CONFLICT, different) if different else (Outcome.SENT, [])
    return Outcome.SENT, []


def _differences(target: Bucket, entry: Entry) -> list[Difference]:
    """How the object under the entry's key differs from it; empty when it is the very object."""
    head = target.head(entry.key)
    if head is None:
        return [Difference(target.name, entry.key, "", "missing", f"{entry.size} bytes", "")]
    facts = unlike(entry, head)
    told = str(head.get("Metadata", {}).get(METADATA, ""))
    if told != entry.sha256:
        facts.append(("sha256 as stored beside it", entry.sha256, told))
    return [Difference(target.name, entry.key, column, "changed", e, f) for column, e, f in facts]


def _put(target: Bucket, root: Path, entry: Entry, condition: dict[str, str]) -> None:
    try:
        descriptor = content.opened(os.fsencode(root), entry.path.encode())
    except OSError as error:
        raise _changed(entry, error.strerror or "cannot be read") from error
    try:
        if os.fstat(descriptor).st_size != entry.size:
            raise _changed(entry, f"{os.fstat(descriptor).st_size:,} bytes, the manifest says {entry.size:,}")
        headers = {
            "Bucket": target.name,
            "Key": entry.key,
            "ContentType": entry.content_type,
            "CacheControl": entry.cache_control,
            "Metadata": {METADATA: entry.sha256},
        }
        if entry.part_size:
            _put_parts(target, descriptor, entry, headers, condition)
        else:
            _put_whole(target, descriptor, entry, headers | condition)
    finally:
        os.close(descriptor)


def _put_whole(target: Bucket, descriptor: int, entry: Entry, headers: dict[str, Any]) -> None:
    sha256 = hashlib.sha256()
    body, md5 = _body(descriptor, 0, entry.size, sha256)
    if sha256.hexdigest() != entry.sha256:
        raise _changed(entry)
    target.attempt(
        lambda: target.s3.put_object(
            Body=_rewound(body), ContentLength=entry.size, ContentMD5=base64.b64encode(md5).decode(), **headers
        ),
        entry.key,
    )


def _put_parts(
    target: Bucket, descriptor: int, entry: Entry, headers: dict[str, Any], condition: dict[str, str]
) -> None:
    """Send in parts.  The object appears only when all parts are there and the whole file is the manifest's."""
    s3, key = target.s3, entry.key
    address: dict[str, Any] = {"Bucket": target.name, "Key": key}
    address["UploadId"] = target.attempt(lambda: s3.create_multipart_upload(**headers), key)["UploadId"]
    whole = hashlib.sha256()
    try:
        parts = [
            {"PartNumber": number, "ETag": _put_part(target, descriptor, start, length, number, address, whole)}
            for number, (start, length) in enumerate(_parts(entry), start=1)
        ]
        if whole.hexdigest() != entry.sha256:
            raise _changed(entry)
        # The local runtime ignores conditions on the completion, so look once more right before it.
        there = target.head(key)
        if (there is not None) if "IfNoneMatch" in condition else (not there or there["ETag"] != condition["IfMatch"]):
            raise RefusedError(412, "PreconditionFailed")
        together = {"Parts": parts}
        target.attempt(lambda: s3.complete_multipart_upload(MultipartUpload=together, **address, **condition), key)
    except RefusedError as refused:
        if refused.code == "NoSuchUpload":  # completed already: the answer to an earlier attempt was lost
            raise RefusedError(412, refused.code) from refused
        _abort(target, address)
        raise
    except BaseException:
        _abort(target, address)
        raise


def _parts(entry: Entry) -> Iterator[tuple[int, int]]:
    assert entry.part_size is not None
    for start in range(0, entry.size, entry.part_size):
        yield start, min(entry.part_size, entry.size - start)


def _put_part(
    target: Bucket, descriptor: int, start: int, length: int, number: int, address: dict[str, Any], whole: Any
) -> str:
    body, md5 = _body(descriptor, start, length, whole)
    answer = target.attempt(
        lambda: target.s3.upload_part(
            Body=_rewound(body),
            ContentLength=length,
            ContentMD5=base64.b64encode(md5).decode(),
            PartNumber=number,
            **address,
        ),
        address["Key"],
    )
    return str(answer["ETag"])


def _abort(target: Bucket, address: dict[str, Any]) -> None:
    # R2 drops unfinished uploads after seven days by itself; the first error is the one to tell
    with contextlib.suppress(RefusedError, CannotFinish):
        target.attempt(lambda: target.s3.abort_multipart_upload(**address), address["Key"])


def _body(descriptor: int, start: int, length: int, sha256: Any) -> tuple[bytes | content.Slice, bytes]:
    """The body of one request, held when small and streamed when not, and its MD5; feeds `sha256` on the way."""
    md5 = hashlib.md5(usedforsecurity=False)
    held: list[bytes] | None = [] if length <= content.PART else None
    for block in content.blocks(descriptor, start, length):
        md5.update(block)
        sha256.update(block)
        if held is not None:
            held.append(block)
    body = content.Slice(descriptor, start, length) if held is None else b"".join(held)
    return body, md5.digest()


def _rewound(body: bytes | content.Slice) -> bytes | content.Slice:
    if isinstance(body, content.Slice):
        body.seek(0)
    return body


def _changed(entry: Entry, how: str = "its content is another") -> CannotFinish:
    return CannotFinish(
        f"the file changed since the export ({how})", object=entry.key, next=RULES["OB303"].advice, code="OB303"
    )
