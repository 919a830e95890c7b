"""Generated SQLite sources: every storage class, every kind of key, and everything that stands around rows."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import apsw

from towpath.checks import Decision

FILL = [Decision("TB116", "words", "fill", "the application searches in it")]
SCHEMA = """
CREATE TABLE anything (id INTEGER PRIMARY KEY, a, b, c, d);
CREATE TABLE typed (id INTEGER PRIMARY KEY AUTOINCREMENT, whole INTEGER, part REAL, price NUMERIC, name TEXT, data BLOB,
    at TEXT, flag BOOLEAN, amount VARCHAR(20));
CREATE TABLE named (code TEXT PRIMARY KEY NOT NULL, label TEXT COLLATE NOCASE, other TEXT);
CREATE TABLE loosely (code TEXT PRIMARY KEY, value, note TEXT);
CREATE TABLE paired (first TEXT, second INTEGER, value, note TEXT, PRIMARY KEY (first, second)) WITHOUT ROWID;
CREATE TABLE firm (id INTEGER PRIMARY KEY, whole INT, part REAL, name TEXT, data BLOB, thing ANY) STRICT;
CREATE TABLE bag (a, b, c);
CREATE TABLE twins (name TEXT, number INTEGER);
CREATE TABLE deserted (id INTEGER PRIMARY KEY, name TEXT DEFAULT 'none');
CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent (id) ON DELETE SET NULL, note TEXT);
CREATE TABLE computed (id INTEGER PRIMARY KEY, base INTEGER, twice INTEGER AS (base * 2) STORED, name TEXT
    CHECK (octet_length(name) < 5000), shown TEXT AS ('<' || name || '>'));
CREATE TABLE settled (name TEXT NOT NULL DEFAULT 'x', amount INTEGER DEFAULT 5 CHECK (amount < 1000),
    kind TEXT COLLATE NOCASE, at TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE VIRTUAL TABLE words USING fts5 (title, body);
CREATE INDEX child_parent ON child (parent_id);
CREATE INDEX typed_name ON typed (name COLLATE NOCASE, at DESC);
CREATE INDEX typed_flagged ON typed (price) WHERE flag = 1;
CREATE UNIQUE INDEX parent_name ON parent (name);
CREATE INDEX anything_length ON anything (length(a));
CREATE VIEW family AS SELECT p.name, c.note || ' – ' AS shown FROM parent AS p JOIN child AS c ON c.parent_id = p.id;
CREATE VIEW totals AS SELECT count(*) AS n, total(part) AS part FROM typed;
CREATE TRIGGER typed_changed AFTER UPDATE ON typed WHEN new.name = '- never -' BEGIN
    INSERT INTO bag (a) VALUES (new.id); END;
CREATE TRIGGER named_gone BEFORE DELETE ON named WHEN old.other = '- never -' BEGIN
    SELECT raise(ABORT, 'it stays'); END;
"""
PAGED = """
CREATE TABLE ledger (id INTEGER PRIMARY KEY, account TEXT, amount NUMERIC, part REAL, at TEXT);
CREATE TABLE coded (code TEXT PRIMARY KEY, value, note TEXT);
CREATE TABLE heap (a, b, c);
"""
WORDS = (
    "Café", "naïve", "Straße", "Ångström", "plain", "it's", "a|b", "漢字", "😀 yes", "line\nbreak", "5", "007", "1.10",
    "true", "ZÜRICH", "comma, and", "-", "end.", "\ufeffmark", '"quoted"', "%20", "null", "NULL", "é", "2024-02-29",
    "ﬁne ①",
)  # fmt: skip
INTEGERS = (0, 1, -1, 5, 42, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 10**18 + 7)
REALS = (0.1, 5.0, 100.0, 2.5, 1 / 3, 1e300, 5e-324, float("inf"), -1e-7, 123456.789)
ZONES = ("Z", "+02:00", "-05:30", "", "+00:00", "+0200")


def everything(path: Path, rng: random.Random, rows: int = 14) -> None:
    """A source with every kind of table."""
    with closing(apsw.Connection(str(path))) as db, db:
        db.execute(SCHEMA)
        for i in range(1, rows + 1):
            n = 2 * i  # odd keys stay free for rows that do not belong there
            _insert(db, "anything", n, *(any_value(rng) for _ in range(4)))
            maybe = [
                whole(rng),
                real(rng),
                price(rng),
                text(rng),
                blob(rng),
                moment(rng),
                rng.randrange(2),
                digits(rng),
            ]
            _insert(db, "typed", n, *(None if rng.random() < 0.08 else value for value in maybe))
            _insert(db, "named", f"{rng.choice(WORDS)} {i}", text(rng), moment(rng))
            _insert(db, "loosely", f"code {i}", any_value(rng), text(rng))
            _insert(db, "paired", rng.choice(WORDS), n, any_value(rng), text(rng))
            _insert(db, "firm", n, whole(rng), real(rng), text(rng), blob(rng), any_value(rng))
            _insert(db, "bag", *(any_value(rng) for _ in range(3)))
            _insert(db, "twins", rng.choice(WORDS[:4]), rng.randrange(3))
            _insert(db, "parent", n, f"{text(rng)} {i}")
            _insert(db, "child", n, rng.choice((None, 2 * rng.randrange(1, i + 1))), text(rng))
            db.execute("INSERT INTO computed (id, base, name) VALUES (?, ?, ?)", (n, i - 3, text(rng)))
            db.execute("INSERT INTO words (rowid, title, body) VALUES (?, ?, ?)", (n, text(rng), moment(rng)))
            if i < 6:
                _insert(db, "settled", text(rng), rng.randrange(999), text(rng), moment(rng))


def paged(path: Path, rng: random.Random, rows: int = 60) -> None:
    """A source of few tables with many rows, which an export with small chunks divides into many pages."""
    with closing(apsw.Connection(str(path))) as db, db:
        db.execute(PAGED)
        for i in range(1, rows + 1):
            _insert(db, "ledger", 2 * i, text(rng), price(rng), real(rng), moment(rng))
            _insert(db, "coded", f"{rng.choice(WORDS)} {i}", any_value(rng), text(rng))
            _insert(db, "heap", *(any_value(rng) for _ in range(3)))


def text(rng: random.Random) -> str:
    """Words as people write them; sometimes none, sometimes with a NUL."""
    if rng.random() < 0.08:
        return ""
    words = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 4)))
    return words.replace(" ", "\0", 1) if rng.random() < 0.04 else words


def flag(rng: random.Random) -> int:
    """0 or 1."""
    return rng.randrange(2)


def digits(rng: random.Random) -> str:
    """A number that is a text."""
    return f"{rng.randrange(-99999, 99999)}.{rng.randrange(100):02}"


def moment(rng: random.Random) -> str:
    """A moment with microseconds, with or without a zone."""
    day = f"{rng.randrange(1970, 2038)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    clock = f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(10**6):06}"
    return f"{day}{rng.choice(' T')}{clock}{rng.choice(ZONES)}"


def whole(rng: random.Random) -> int:
    """An integer, often one that a double cannot hold."""
    return rng.choice(INTEGERS) if rng.random() < 0.5 else rng.randrange(-(2**63), 2**63)


def real(rng: random.Random) -> float:
    """A double."""
    return rng.choice(REALS) if rng.random() < 0.4 else rng.uniform(-1e6, 1e6)


def price(rng: random.Random) -> float | int:
    """A number as a NUMERIC column holds it."""
    return rng.randrange(10**6) if rng.random() < 0.3 else rng.randrange(10**8) / 100


def blob(rng: random.Random) -> bytes:
    """Bytes; often those of a text."""
    return rng.choice((b"", b"\0", b"abc", rng.randbytes(12), rng.randbytes(200)))


def any_value(rng: random.Random) -> object:
    """A value of any storage class."""
    makers = (whole, real, text, text, blob, moment, digits, lambda _: None, lambda r: r.randrange(100))
    return rng.choice(makers)(rng)


def _insert(db: apsw.Connection, table: str, *values: object) -> None:
    db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
