"""A place in a bucket of R2: uploads are those of attachments, so they are resumable, proved, and overwrite nothing.

Every PUT carries `If-None-Match: *` and the MD5 of its body; R2 refuses the one that comes second and the one that was
garbled on its way.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError

from towpath.errors import CannotFinish
from towpath.objects import content
from towpath.objects.bucket import Bucket, RefusedError
from towpath.objects.manifest import Entry, entry_of
from towpath.objects.rules import WORKERS
from towpath.objects.upload import send
from towpath.places.store import PIECE, Outgoing, changed

PRIVATE = "private, no-store"  # a record is as confidential as the application's data


class BucketStore:
    """A place under a prefix of a bucket."""

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        self._prefix = f"{prefix}/" if prefix else ""
        self._address = f"s3://{bucket}/{prefix}".rstrip("/")
        with self._told():
            self._bucket = Bucket(s3, bucket)

    @property
    def address(self) -> str:
        """s3://bucket/prefix."""
        return self._address

    def names(self, beginning: str) -> Iterator[tuple[str, int]]:
        """Every key that begins so, without the place's own prefix."""
        with self._told():
            for found in self._bucket.list((self._prefix + beginning,)):
                yield found.key.removeprefix(self._prefix), found.size

    def create(self, name: str, data: bytes) -> bool:
        """One conditional PUT.  An answer that was lost is looked after: the bytes there are ours, or they are not."""
        key, md5 = self._prefix + name, hashlib.md5(data, usedforsecurity=False).digest()
        with self._told():
            try:
                self._bucket.attempt(
                    lambda: self._bucket.s3.put_object(
                        Bucket=self._bucket.name,
                        Key=key,
                        Body=data,
                        ContentMD5=base64.b64encode(md5).decode(),
                        ContentType="application/json",
                        CacheControl=PRIVATE,
                        IfNoneMatch="*",
                    ),
                    key,
                )
            except RefusedError as refused:
                if refused.status != 412:
                    raise CannotFinish(f"answers {refused}", object=key, next="repeat") from refused
                return self.read(name) == data
        return True

    def read(self, name: str) -> bytes | None:
        """One GET."""
        key = self._prefix + name
        with self._told():
            try:
                return self._bucket.attempt(
                    lambda: bytes(self._bucket.s3.get_object(Bucket=self._bucket.name, Key=key)["Body"].read()), key
                )
            except RefusedError as refused:
                if refused.status == 404:
                    return None
                raise CannotFinish(f"answers {refused}", object=key, next="repeat") from refused

    def send(self, files: Sequence[Outgoing]) -> int:
        """Upload each that the bucket does not hold; what it holds must be the very file."""
        sent = 0
        with self._told():
            for folder in {one.folder for one in files}:
                entries = [self._entry(one) for one in files if one.folder == folder]
                there = {one.key: one for one in self._bucket.list(_beginnings(entries))}
                pairs = ((entry, there.get(entry.key)) for entry in entries)
                done = send(pairs, folder, self._bucket, {}, lambda _: None, WORKERS)
                if done.conflicts:
                    raise changed(self.address, done.conflicts[0].key.removeprefix(self._prefix))
                sent += done.sent
        return sent

    def fetch(self, name: str, sha256: str, target: Path) -> None:
        """One GET into a file, hashed on its way."""
        key = self._prefix + name

        def once() -> str:
            found = hashlib.sha256()
            with target.open("wb") as file:
                body = self._bucket.s3.get_object(Bucket=self._bucket.name, Key=key)["Body"]
                for piece in body.iter_chunks(PIECE):
                    found.update(piece)
                    file.write(piece)
            return found.hexdigest()

        with self._told():
            try:
                found = self._bucket.attempt(once, key)
            except RefusedError as refused:
                target.unlink(missing_ok=True)
                missing = "is missing" if refused.status == 404 else f"answers {refused}"
                step = "somebody removed it: restore the object, or keep the run again from where it lies whole"
                raise CannotFinish(missing, object=f"{self.address}, {name}", next=step) from refused
            except OSError as error:
                raise CannotFinish(
                    f"cannot be written: {error.strerror}", object=str(target), next="make room"
                ) from None
        if found != sha256:
            target.unlink()
            raise changed(self.address, name)

    def remove(self, name: str) -> None:
        """One DELETE."""
        key = self._prefix + name
        with self._told():
            self._bucket.attempt(lambda: self._bucket.s3.delete_object(Bucket=self._bucket.name, Key=key), key)

    def _entry(self, one: Outgoing) -> Entry:
        found = content.read(str(one.folder).encode(), one.path.encode())
        if found.sha256 != one.sha256:
            raise CannotFinish("changed while it was copied", object=one.path, next="copy the record again")
        return entry_of(self._prefix + one.name, one.path, found, PRIVATE)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What went wrong, in the words of places: the bucket's own errors speak of the bucket of a migration."""
        try:
            yield
        except CannotFinish as error:
            if error.object.startswith(f"bucket {self._bucket_name}"):
                step = "look at TOWPATH_RECORDS and its settings, then repeat: what is there already stays"
                raise CannotFinish(error.what, object=f"{self.address}, {error.object}", next=step) from error
            raise
        except BotoCoreError as error:
            step = "look at TOWPATH_RECORDS and its settings, then repeat"
            raise CannotFinish(f"cannot be asked: {type(error).__name__}", object=self.address, next=step) from error

    @property
    def _bucket_name(self) -> str:
        return self._address.removeprefix("s3://").partition("/")[0]


def _beginnings(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The one prefix under which all of them lie."""
    keys = [entry.key for entry in entries]
    first, last = min(keys), max(keys)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return (first[:same],)
