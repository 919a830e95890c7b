"""Canonical text: what every cell of a page holds, as the database itself says it.

This is the proof's own reading of a row, and shares no expression with the encoder.  Each cell becomes

    i<digits>;          integer
    t<bytes>:<text>     text with its length in bytes
    b<bytes>:<HEX>      blob
    n                   NULL
    r                   real; its value stands apart, in the page's list of reals

so that neither a moved border between cells nor a changed storage class can go unseen.  Reals are compared as doubles,
because two versions of SQLite may print the same double with other digits.  A page is evaluated twice: on the source's
snapshot when it is exported, on the target when it is proved.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from towpath.tables.literals import concat
from towpath.tables.relation import Relation

REPLACEMENT = "\ufffd".encode()  # what a JSON answer shows for bytes that are not UTF-8
PIECE_BYTES = 450_000  # of a value read in hexadecimal: 900,000 characters, under D1's 2,000,000 for any string


@dataclass(frozen=True, slots=True)
class Digest:
    """What a page holds: the number of its rows, SHA-256 of the canonical text, SHA-256 of its reals."""

    rows: int
    text: str
    reals: str


def cell(value: str) -> str:
    """SQL that yields the canonical text of one value."""
    return (
        f"CASE typeof({value}) WHEN 'text' THEN concat('t', octet_length({value}), ':', {value})"
        f" WHEN 'integer' THEN concat('i', {value}, ';') WHEN 'null' THEN 'n' WHEN 'real' THEN 'r'"
        f" ELSE concat('b', octet_length({value}), ':', hex({value})) END"
    )


def real(value: str) -> str:
    """SQL that yields the digits of a real, ended by a comma; nothing for any other value."""
    return f"CASE typeof({value}) WHEN 'real' THEN concat(quote({value}), ',') ELSE '' END"


def page_sql(relation: Relation, low: str | None, high: str | None, reals: Sequence[str], form: str) -> str:
    """SQL for one page: its row count, its canonical text, its reals.

    `form` text: as text.  bytes: as a blob, for a driver that returns bytes.  For text that JSON cannot carry there is
    `hex_sql`.
    """
    columns = {column: f"c{number}" for number, column in enumerate(relation.columns)}
    first = f"{relation.rowid} AS k, " if relation.rowid else ""
    text = concat([cell(short) for short in (*(["k"] if first else []), *columns.values())])
    numbers = concat([real(columns[c]) for c in reals]) if reals else "''"
    inner = f"SELECT {text} AS x, {numbers} AS y FROM ({relation.named(columns, low, high, first)})"
    joined = ", ".join(f"coalesce(group_concat({name}, ''), '') AS {name}" for name in "xy")
    whole = f"SELECT count(*) AS n, {joined} FROM ({inner})"
    if form == "text":
        return whole
    return f"SELECT n, CAST(x AS BLOB) AS x, y FROM ({whole})"


def hex_sql(relation: Relation, low: str | None, high: str | None, reals: Sequence[str], pieces: int) -> str:
    """SQL for one page in hexadecimal pieces: count, reals, size in bytes, then `pieces` texts of PIECE_BYTES."""
    blob = page_sql(relation, low, high, reals, "bytes")
    parts = ", ".join(f"hex(substr(x, {1 + i * PIECE_BYTES}, {PIECE_BYTES}))" for i in range(pieces))
    return f"SELECT n, y, octet_length(x), {parts} FROM ({blob})"


def reals_digest(text: str) -> str:
    """SHA-256 over the doubles that `text` lists, little endian; a negative zero counts as zero, as SQLite keeps it."""
    if not text:
        return ""
    values = [float(part) + 0.0 for part in text[:-1].split(",")]
    return hashlib.sha256(struct.pack(f"<{len(values)}d", *values)).hexdigest()


def digest(rows: int, text: bytes, reals: str) -> Digest:
    """The digest of a page."""
    return Digest(rows, hashlib.sha256(text).hexdigest(), reals_digest(reals))


def form_of(text: bytes) -> str:
    """How the target must be asked for this page: `text`, or `hex` where a JSON answer would be ambiguous."""
    if REPLACEMENT in text:
        return "hex"
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return "hex"
    return "text"
