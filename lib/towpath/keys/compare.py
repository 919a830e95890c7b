"""Proof: every key of the export is in the namespace with its value, its type and its expiry, and nothing else is.

Values are compared by SHA-256 of all their bytes.  Most are read a hundred at a time; those that a bulk read cannot
give exactly (see towpath.cloudflare.kv) are read alone.  What ended its life since the export is listed, not failed.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from towpath.checks import Check, Comparison, Difference, Progress, silent
from towpath.cloudflare.errors import CloudflareError
from towpath.cloudflare.kv import GET_BYTES, GET_KEYS, KV, Listed
from towpath.errors import WrongUse
from towpath.keys import receipts
from towpath.keys.load import Clock
from towpath.keys.manifest import Entry, Manifest
from towpath.keys.receipts import Notes
from towpath.keys.rules import RESERVED, RULES, SAMPLES, check
from towpath.streams.ordered import side_by_side
from towpath.streams.pool import each

CONNECTIONS = 4
AHEAD = 2  # looks that are handed out for each connection
NAMED = 10_000  # differences that a result names; the checks count all of them
ROUNDING = 1  # seconds
Pair = tuple[Entry | None, Listed | None]
_CODES = {"value": "KE406", "metadata": "KE407", "expiry": "KE408"}
GONE = "gone"  # the kind of a key that is rightly not there: listed, no difference
LIFTED = "lifted"  # the kind of a key whose life ended in the source, but which was lifted to one that goes on


@dataclass(frozen=True, slots=True)
class _Proof:
    """What every look needs."""

    kv: KV
    notes: Notes
    clock: Clock
    single: bool

    def difference(self, key: str, column: str, kind: str, expected: str, found: str) -> Difference:
        """One difference, named."""
        return Difference(self.kv.namespace, key, column, kind, expected, found)


def compare(
    kv: KV,
    manifest: Manifest,
    report: Progress = silent,
    *,
    by: Literal["bulk", "single"] = "bulk",
    clock: Clock = time.time,
    connections: int = CONNECTIONS,
) -> Comparison:
    """Compare a namespace with an export, key by key; `report` counts keys.

    by="single" reads every value alone: three to five times slower, and it also sees a byte order mark that was put
    before a text, which a bulk read drops.  Differences are the result, not an error: raises CloudflareError when the
    namespace cannot be read, BadInput when the export is damaged.
    """
    if by not in ("bulk", "single"):
        raise WrongUse(f"by={by!r}", next="compare by 'bulk' or by 'single'")
    tally: Counter[str] = Counter()
    named: list[Difference] = []
    gone: list[str] = []
    for pairs, found in looks(kv, manifest, by=by, clock=clock, connections=connections):
        tally["namespace"] += sum(listed is not None for _, listed in pairs)
        tally["bytes"] += sum(entry.size for entry, _ in pairs if entry is not None)
        keys = sum(entry is not None for entry, _ in pairs)
        tally["keys"] += keys
        ended = [difference for difference in found if difference.kind in (GONE, LIFTED)]
        tally.update(difference.kind for difference in ended)
        gone += [difference.key for difference in ended[: SAMPLES - len(gone)]]
        found = [difference for difference in found if difference.kind not in (GONE, LIFTED)]
        for difference in found:
            tally[_code(difference)] += 1
        named += found[: NAMED - len(named)]
        report(keys)
    return Comparison(
        surface="keys",
        compared={"keys": tally["keys"], "key_bytes": tally["bytes"]},
        checks=_checks(kv.namespace, manifest, tally, named, gone),
        differences=tuple(named),
    )


def looks(
    kv: KV,
    entries: Iterable[Entry],
    *,
    by: Literal["bulk", "single"] = "bulk",
    clock: Clock = time.time,
    connections: int = CONNECTIONS,
) -> Iterator[tuple[Sequence[Pair], list[Difference]]]:
    """Every key that either side holds, some at a time, with what differs; `entries` in the order of their keys.

    A key that is rightly not there, or that outlives its source because it was lifted, is told as `GONE` or `LIFTED`.
    """
    proof = _Proof(kv, receipts.read(kv).notes, clock, by == "single")
    listing = (listed for listed in kv.list() if not listed.key.startswith(RESERVED))
    portions = _portions(side_by_side(entries, listing), by)
    return each(lambda p: (p, _look(proof, p)), portions, connections, ahead=AHEAD, name="keys")


def _portions(pairs: Iterable[Pair], by: str) -> Iterator[Sequence[Pair]]:
    """Pairs that one look takes together: as many as a bulk read allows, or one that must be read alone."""
    together: list[Pair] = []
    size = 0
    for pair in pairs:
        entry, listed = pair
        if entry is not None and listed is not None and (entry.alone or by == "single"):
            yield [pair]
            continue
        length = entry.size if entry is not None and listed is not None else 0
        if together and (len(together) >= GET_KEYS or size + length > GET_BYTES):
            yield together
            together, size = [], 0
        together.append(pair)
        size += length
    if together:
        yield together


def _look(proof: _Proof, pairs: Sequence[Pair]) -> list[Difference]:
    there = [entry for entry, listed in pairs if entry is not None and listed is not None]
    values = _values(proof, there)
    out: list[Difference] = []
    for entry, listed in pairs:
        if entry is None:
            assert listed is not None
            out.append(_extra(proof, listed))
        elif listed is None or values[entry.key] is None:
            out.append(_absent(proof, entry))
        else:
            out += _unlike(proof, entry, listed, values[entry.key] or b"")
    return out


def _values(proof: _Proof, entries: Sequence[Entry]) -> Mapping[str, bytes | None]:
    if entries and not proof.single and not entries[0].alone:
        try:
            texts = proof.kv.get_texts([entry.key for entry in entries])
            return {key: text if text is None else text.encode() for key, text in texts.items()}
        except CloudflareError as error:
            if error.status != 413:  # somebody made the values larger than all of them may be together
                raise
    return {entry.key: proof.kv.get(entry.key) for entry in entries}


def _absent(proof: _Proof, entry: Entry) -> Difference:
    expiration = entry.expiration
    if expiration is not None:
        noted = proof.notes.left.get(entry.key)
        was_left = noted is not None and abs(noted - expiration) <= ROUNDING
        if was_left or expiration <= proof.clock():
            return proof.difference(entry.key, "expiry", GONE, str(expiration), "")
    return proof.difference(entry.key, "", "missing", _digest(entry.size, entry.sha256), "")


def _extra(proof: _Proof, listed: Listed) -> Difference:
    _, lifted = proof.notes.lifted.get(listed.key, (0, None))
    kind = LIFTED if lifted is not None and listed.expiration == lifted else "extra"
    found = f"{_metadata(listed.metadata)}, expires {listed.expiration}"
    return proof.difference(listed.key, "", kind, "", found)


def _unlike(proof: _Proof, entry: Entry, listed: Listed, value: bytes) -> Iterator[Difference]:
    digest = hashlib.sha256(value).hexdigest()
    if digest != entry.sha256:
        expected, found = _digest(entry.size, entry.sha256), _digest(len(value), digest)
        yield proof.difference(entry.key, "value", "changed", expected, found)
    if (listed.metadata or {}) != entry.metadata:
        expected, found = _metadata(entry.metadata), _metadata(listed.metadata)
        yield proof.difference(entry.key, "metadata", "changed", expected, found)
    if not _lives_as_long(proof.notes, entry, listed.expiration):
        yield proof.difference(entry.key, "expiry", "changed", str(entry.expiration), str(listed.expiration))


def _lives_as_long(notes: Notes, entry: Entry, found: int | None) -> bool:
    expected = entry.expiration
    if expected is None or found is None:
        return expected == found
    was, lifted = notes.lifted.get(entry.key, (expected, expected))
    # a note speaks of the life that it lifted; a key that has another one since then has nothing to do with it
    return abs(found - expected) <= ROUNDING or (abs(was - expected) <= ROUNDING and abs(found - lifted) <= ROUNDING)


def _digest(size: int, sha256: str) -> str:
    return f"{size} bytes, sha256 {sha256}"


def _metadata(metadata: object) -> str:
    return orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS).decode()


def _code(difference: Difference) -> str:
    if difference.kind == "changed":
        return _CODES[difference.column]
    return "KE404" if difference.kind == "missing" else "KE405"


def _checks(
    namespace: str, manifest: Manifest, tally: Counter[str], named: Sequence[Difference], gone: Sequence[str]
) -> tuple[Check, ...]:
    keys: dict[str, list[str]] = {}
    for difference in named:
        keys.setdefault(_code(difference), []).append(difference.key)
    number = manifest.keys - tally[GONE]
    equal = f"{tally['keys'] - tally[GONE] - tally['KE404']:,} equal"

    def row(code: str, expected: str, words: str) -> Check:
        count = tally[code]
        found = f"{count:,} {words}" if count else ("none" if expected == "none" else equal)
        return check(code, namespace, expected, found, not count, keys.get(code, ()))

    held = tally["namespace"] - tally[LIFTED]
    there = check("KE403", namespace, f"{number:,}", f"{held:,}", held == number)
    return (
        there,
        row("KE404", "none", "missing"),
        row("KE405", "none", "extra"),
        row("KE406", f"SHA-256 of every value, {manifest.bytes:,} bytes", "differ"),
        row("KE407", "type and encoding as exported", "differ"),
        row("KE408", f"as in the source, rounded up, within {ROUNDING} s", "differ"),
        check("KE409", namespace, RULES["KE409"].title.lower(), f"{tally[GONE] + tally[LIFTED]:,} of them", True, gone),
    )
