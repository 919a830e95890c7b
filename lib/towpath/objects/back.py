"""What the bucket has otherwise than the last list, carried back into the folder that the files came from.

A file appears under its name only when it is whole and on disk.  Nothing leaves the root, and no file is replaced or
removed that is not as the last list tells it: such a one is named and left alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from towpath.checks import Progress, silent
from towpath.errors import CannotFinish
from towpath.objects.bucket import S3, Bucket, Listed, RefusedError
from towpath.objects.content import BLOCK, below
from towpath.objects.manifest import Entry
from towpath.streams.ordered import side_by_side

NAME_BYTES = 255  # of one part of a path, on every file system that people use


@dataclass(frozen=True, slots=True)
class Back:
    """What must be done so that the folder holds what the bucket holds: objects to fetch, entries to remove.

    `conflicts` are keys with the reason why they are left alone.
    """

    fetch: tuple[tuple[Listed, Path, str | None], ...]  # and the SHA-256 of the file that it replaces
    remove: tuple[tuple[Entry, Path], ...]
    conflicts: tuple[tuple[str, str], ...]

    @property
    def bytes(self) -> int:
        """Bytes to fetch."""
        return sum(listed.size for listed, *_ in self.fetch)

    @property
    def count(self) -> int:
        """Files that change."""
        return len(self.fetch) + len(self.remove)


def find_back(entries: Iterable[Entry], prefixes: tuple[str, ...], root: Path, s3: S3, bucket: str) -> Back:
    """Hold the bucket against the last list, and what differs against the folder.  Raises CannotFinish.

    What an earlier call carried back already is left out.
    """
    fetch: list[tuple[Listed, Path, str | None]] = []
    remove: list[tuple[Entry, Path]] = []
    conflicts: list[tuple[str, str]] = []
    target = Bucket(s3, bucket)
    for entry, listed in side_by_side(entries, target.list(prefixes)):
        if entry is not None and listed is not None and entry.etag == listed.etag:
            continue
        key = entry.key if entry is not None else listed.key if listed is not None else ""
        place = place_of(root, entry.path if entry is not None else key)
        if place is None:
            conflicts.append((key, "it is no name that a file below the folder can have"))
            continue
        held = _digests(place)
        if listed is not None and _is(target, listed, held):
            continue  # carried back before
        if listed is None and held is None:
            continue  # removed before
        if (held and held.sha256) != (entry.sha256 if entry is not None else None):
            conflicts.append((key, "the file is not what the last list says"))
        elif listed is not None:
            fetch.append((listed, place, entry.sha256 if entry is not None else None))
        elif entry is not None:
            remove.append((entry, place))
    return Back(tuple(fetch), tuple(remove), tuple(conflicts))


def carry_files_back(back: Back, s3: S3, bucket: str, report: Progress = silent) -> int:
    """Fetch and remove; `report` counts bytes, and 1 for each file removed.  Returns the number of files.

    Raises CannotFinish when an object or a file changed meanwhile, the bucket cannot be read or the disk is full: each
    file is then either as it was or as it must be.
    """
    target = Bucket(s3, bucket)
    for listed, place, was in back.fetch:
        try:
            report(target.attempt(partial(_fetch, target, listed, place, was), listed.key))
        except RefusedError as refused:
            what, step = f"the object changed meanwhile ({refused})", "see that nobody writes, then run the phase again"
            raise CannotFinish(what, object=listed.key, next=step) from refused
        except OSError as error:
            what, step = f"the file cannot be written: {error.strerror}", "free disk space, then run the phase again"
            raise CannotFinish(what, object=str(place.name), next=step) from error
    for entry, place in back.remove:
        _refuse_changed(place, entry.sha256)
        place.unlink(missing_ok=True)
        report(1)
    return back.count


def _refuse_changed(place: Path, was: str | None) -> None:
    """Leave a file alone that is no longer what it was when it was looked at; one that is gone needs no removing."""
    held = _digests(place)
    if held is not None and held.sha256 != was:
        what, step = "the file was written to meanwhile", "stop who writes to it, then run the phase again"
        raise CannotFinish(what, object=place.name, next=step)


def _fetch(target: Bucket, listed: Listed, place: Path, was: str | None) -> int:
    answer = target.s3.get_object(Bucket=target.name, Key=listed.key, IfMatch=f'"{listed.etag}"')
    # the same name each time: the next attempt takes away what one that was killed has left
    draft = place.with_name(f".towpath-{hashlib.sha256(os.fsencode(place.name)).hexdigest()[:16]}")
    place.parent.mkdir(parents=True, exist_ok=True)
    draft.unlink(missing_ok=True)
    size = 0
    try:
        with answer["Body"] as body, draft.open("xb") as file:
            while block := body.read(BLOCK):
                file.write(block)
                size += len(block)
            file.flush()
            os.fsync(file.fileno())
        if size != listed.size or ("-" not in listed.etag and not _is(target, listed, _digests(draft))):
            what, step = f"{size} bytes arrived that are not the object's", "run the phase again"
            raise CannotFinish(what, object=listed.key, next=step)
        _refuse_changed(place, was)
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(place, draft)  # whoever could read it still can
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
    return size


def place_of(root: Path, path: str) -> Path | None:
    """Where a key's file lies; None where it would lie outside of the root, or cannot be a file."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part or len(os.fsencode(part)) > NAME_BYTES for part in parts):
        return None
    place = root.joinpath(*parts)
    real, top = os.path.realpath(os.fsencode(place)), os.path.realpath(os.fsencode(root))
    return place if below(real, top) and real != top and not place.is_dir() else None


def _is(target: Bucket, listed: Listed, held: _Held | None) -> bool:
    """True if the file holds what the object holds.  The ETag of an object sent in parts says nothing about that."""
    if held is None or held.size != listed.size:
        return False
    if "-" not in listed.etag:
        return held.md5 == listed.etag
    digest = hashlib.sha256()
    with target.s3.get_object(Bucket=target.name, Key=listed.key)["Body"] as body:
        while block := body.read(BLOCK):
            digest.update(block)
    return digest.hexdigest() == held.sha256


@dataclass(frozen=True, slots=True)
class _Held:
    size: int
    sha256: str
    md5: str


def _digests(path: Path) -> _Held | None:
    """What a file holds; None where there is none."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    size = 0
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
        while block := file.read(BLOCK):
            sha256.update(block)
            md5.update(block)
            size += len(block)
        return _Held(size, sha256.hexdigest(), md5.hexdigest())
    return None
