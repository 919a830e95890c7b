"""Proof: every object of the manifest is in the bucket with its content and headers, and nothing else is."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from towpath.checks import Check, Comparison, Difference, Progress, silent
from towpath.errors import WrongUse
from towpath.objects.bucket import S3, Bucket, RefusedError
from towpath.objects.content import BLOCK
from towpath.objects.manifest import Entry, Manifest
from towpath.objects.proved import Before, Pair, Proved, keep_proved
from towpath.objects.rules import AHEAD, RULES, SAMPLES, WORKERS
from towpath.streams.ordered import side_by_side
from towpath.streams.pool import each

METADATA = "towpath-sha256"
NAMED = 10_000  # differences that a result names; the checks count all of them
_CODE = {"sha256": "OB404", "size": "OB404", "etag": "OB404"}  # every other column is a header: OB405


def compare(
    manifest: Manifest,
    s3: S3,
    bucket: str,
    report: Progress = silent,
    by: Literal["content", "etag"] = "content",
    workers: int = WORKERS,
    *,
    keep: Path | None = None,
    before: Before | None = None,
    same_clock: bool = False,
) -> Comparison:
    """Compare a bucket with a manifest, object by object.

    by="content" fetches every object and computes its SHA-256; by="etag" believes the service's ETag and size.  Both
    look at content type, cache control and content encoding, and list the manifest's prefixes for objects too many.
    `report` receives bytes compared.  Differences are the result, not an error: Raises CannotFinish only when the
    bucket cannot be read, BadInput when the manifest is damaged.

    `keep`: where to write down what was proved by content.  `before`: what an earlier proof wrote down; an object that
    it proved to be this very entry, and that was not written since, is not fetched.  `same_clock`: see `Bucket`.
    """
    if by not in ("content", "etag") or (by == "etag" and (keep or before)):
        raise WrongUse(f"by={by!r}", next="compare by 'content' or by 'etag'; only what was read can be kept")
    target = Bucket(s3, bucket, same_clock=same_clock)
    tally: Counter[str] = Counter()
    named: list[Difference] = []

    def look(item: tuple[Pair, bool]) -> tuple[Pair, bool, list[Difference]]:
        pair, same = item
        return pair, same, [] if same else _look(target, pair, by)

    def prove(note: Callable[[Proved], None] | None = None) -> None:
        pairs = side_by_side(manifest, target.list(manifest.prefixes))
        items = before.beside(pairs) if before else ((pair, False) for pair in pairs)
        for (entry, listed), same, found in each(look, items, workers, ahead=AHEAD, name="objects"):
            tally["bucket"] += listed is not None
            tally["objects"] += entry is not None
            tally["same"] += same
            tally["read"] += entry is not None and listed is not None and not same
            for code in {_code(difference) for difference in found}:
                tally[code] += 1
            named.extend(islice(found, max(0, NAMED - len(named))))
            if entry is not None:
                tally["bytes"] += entry.size
                report(entry.size)
                if note is not None and listed is not None and listed.settled and not found:
                    note(Proved.of(entry, listed))

    if keep is None:
        prove()
    else:
        keep_proved(keep, bucket, manifest, prove)
    return Comparison(
        surface="objects",
        compared={"objects": tally["objects"], "bytes": tally["bytes"], **_read(tally, before)},
        checks=_checks(bucket, manifest, by, tally, named, before),
        differences=tuple(named),
    )


def unlike(entry: Entry, answer: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(column, expected, found) for everything in which an object's head differs from its entry."""
    facts = (
        ("size", str(entry.size), str(answer.get("ContentLength", ""))),
        ("etag", entry.etag, str(answer.get("ETag", "")).strip('"')),
        ("content_type", entry.content_type, str(answer.get("ContentType", ""))),
        ("cache_control", entry.cache_control, str(answer.get("CacheControl", ""))),
        ("content_encoding", "", str(answer.get("ContentEncoding", ""))),
    )
    return [fact for fact in facts if fact[1] != fact[2]]


def _look(target: Bucket, pair: Pair, by: str) -> list[Difference]:
    entry, listed = pair
    if entry is None:
        assert listed is not None
        found = f"{listed.size} bytes, etag {listed.etag}"
        return [Difference(target.name, listed.key, "", "extra", "", found)]
    absent = [Difference(target.name, entry.key, "", "missing", f"{entry.size} bytes, sha256 {entry.sha256}", "")]
    if listed is None:
        return absent
    if by == "etag":
        head = target.head(entry.key)
        if head is None:
            return absent
        different = unlike(entry, head)
    else:
        try:
            different = target.attempt(lambda: _fetch(target, entry), entry.key)
        except RefusedError:
            return absent  # deleted between the listing and now
    return [Difference(target.name, entry.key, c, "changed", expected, found) for c, expected, found in different]


def _fetch(target: Bucket, entry: Entry) -> list[tuple[str, str, str]]:
    """What differs after reading the whole object."""
    answer = target.s3.get_object(Bucket=target.name, Key=entry.key)
    body = answer["Body"]
    if answer.get("ContentEncoding"):
        # The local runtime compresses such a body once more on the way: only its head can be trusted.
        body.close()
        return unlike(entry, target.head(entry.key) or {})
    sha256, size = hashlib.sha256(), 0
    with body:
        while block := body.read(BLOCK):
            sha256.update(block)
            size += len(block)
    different = [fact for fact in unlike(entry, answer) if fact[0] not in ("etag", "size")]
    if size != entry.size:
        different.insert(0, ("size", str(entry.size), str(size)))
    if sha256.hexdigest() != entry.sha256:
        different.insert(0, ("sha256", entry.sha256, sha256.hexdigest()))
    return different


def _code(difference: Difference) -> str:
    if difference.kind == "changed":
        return _CODE.get(difference.column, "OB405")
    return "OB402" if difference.kind == "missing" else "OB403"


def _read(tally: Counter[str], before: Before | None) -> dict[str, int]:
    """How many objects were read whole, and how many need not be; nothing where all of them were."""
    if before is None:
        return {}
    by = f"proved by content in {before.by} and not written since"
    return {"read whole now": tally["read"], by: tally["same"]}


def _checks(
    bucket: str, manifest: Manifest, by: str, tally: Counter[str], named: list[Difference], before: Before | None
) -> tuple[Check, ...]:
    keys: dict[str, list[str]] = {}
    for difference in named:
        listed = keys.setdefault(_code(difference), [])
        if difference.key not in listed[-1:] and len(listed) < SAMPLES:
            listed.append(difference.key)
    how = "SHA-256 of every byte" if by == "content" else "ETag and size"
    size = f"{manifest.objects:,} objects, {manifest.bytes:,} bytes"
    equal = f"{tally['objects'] - tally['OB402']:,} equal"
    read = "".join(f", {count:,} {what}" for what, count in _read(tally, before).items())
    looked = {code: (f"{tally[code]:,} differ" if tally[code] else equal) + read for code in ("OB404", "OB405")}
    rows = [
        ("OB401", f"{manifest.objects:,}", f"{tally['bucket']:,}", tally["bucket"] == manifest.objects),
        ("OB402", "none missing", f"{tally['OB402']:,} missing" if tally["OB402"] else "none", not tally["OB402"]),
        ("OB403", "none extra", f"{tally['OB403']:,} extra" if tally["OB403"] else "none", not tally["OB403"]),
        ("OB404", f"{how}: {size}", looked["OB404"], not tally["OB404"]),
        ("OB405", "the headers told", looked["OB405"], not tally["OB405"]),
    ]
    return tuple(
        RULES[code].check(bucket, expected, found, good, keys.get(code, ())) for code, expected, found, good in rows
    )
