"""Generated schemas with generated rows, carried whole: whatever the proof says of them is a false alarm."""

from __future__ import annotations

import random
import secrets
from contextlib import closing
from pathlib import Path

import apsw
from helpers.carry import Carried, carry

from mutation import sources
from mutation.harness import failing
from mutation.tables import around
from towpath.cloudflare import D1, Client
from towpath.errors import TowpathError
from towpath.tables.schema import literal, quoted

TYPES = ("", "TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", "DATETIME", "VARCHAR(30)", "BOOLEAN", "DECIMAL(10,2)")
STRICT = {"INT": sources.whole, "REAL": sources.real, "TEXT": sources.text, "BLOB": sources.blob,
          "ANY": sources.any_value}  # fmt: skip
NAMES = (
    "a",
    "B",
    "order",
    "größe",
    "with space",
    'quote"d',
    "it's",
    "select",
    "漢字",
    "x-y",
    "c1",
    "_c",
    "value",
    "rowid_",
)
COLLATIONS = ("", " COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY")
DEFAULTS = ("", " DEFAULT 5", " DEFAULT 'x y'", " DEFAULT CURRENT_TIMESTAMP", " DEFAULT (1 + 1)", " DEFAULT NULL")


def check(client: Client, folder: Path, rng: random.Random) -> tuple[str, int]:
    """Carry one generated source and prove it: (what the proof complained of, "" if of nothing; rows)."""
    source = folder / "source.sqlite"
    with closing(apsw.Connection(str(source))) as db, db:
        script = make(db, rng)
    try:
        made = carry(source, folder / "run", D1(client, f"clean-{secrets.token_hex(8)}"), sources.FILL)
        found = complaints(made)
    except TowpathError as error:
        return f"not carried: {error.line}: {script}", 0
    made.exporter.close()
    return (f"{found}: {script}" if found else ""), made.manifest.rows


def complaints(made: Carried) -> str:
    """Everything that 05-validate asks about a database, as far as it fails."""
    found = made.compare()
    failed = failing([*found.checks, *around(made)])
    return "; ".join([*map(str, sorted(failed)), *map(str, found.differences[:3])])


def make(db: apsw.Connection, rng: random.Random) -> str:
    """Declare one to four tables of any kind, fill them, and return what was declared."""
    said: list[str] = []

    def run(sql: str) -> None:
        db.execute(sql)
        said.append(sql)

    for number in range(rng.randrange(1, 5)):
        _table(db, run, f"{rng.choice(NAMES)} {number}" if rng.random() < 0.5 else f"t{number}", rng)
    if rng.random() < 0.2:
        run("CREATE VIRTUAL TABLE words USING fts5 (title, body)")
        for _ in range(rng.randrange(6)):
            row = (rng.randrange(1, 10**9), sources.text(rng), sources.text(rng))
            db.execute("INSERT OR IGNORE INTO words (rowid, title, body) VALUES (?, ?, ?)", row)
    return "; ".join(said)


def _table(db: apsw.Connection, run: object, name: str, rng: random.Random) -> None:
    assert callable(run)
    strict = rng.random() < 0.15
    names = rng.sample(NAMES, rng.randrange(1, 6))
    types = [rng.choice(tuple(STRICT) if strict else TYPES) for _ in names]
    makers = [STRICT[t] if strict else sources.any_value for t in types]
    columns = [
        f"{quoted(n)} {t}{rng.choice(COLLATIONS)}{'' if strict else rng.choice(DEFAULTS)}"
        for n, t in zip(names, types, strict=True)
    ]
    kind = rng.choice(("rowid", "auto", "text", "nullable", "none", "pair", "without", "nocase"))
    keys = {
        "rowid": ["k INTEGER PRIMARY KEY"],
        "auto": ["k INTEGER PRIMARY KEY AUTOINCREMENT"],
        "text": ["k TEXT PRIMARY KEY NOT NULL"],
        "nullable": ["k TEXT PRIMARY KEY"],
        "none": ["k ANY" if strict else "k"],
        "pair": ["k TEXT NOT NULL", "k2 INT"],
        "without": ["k TEXT NOT NULL", "k2 INT NOT NULL"],
        "nocase": ["k TEXT COLLATE NOCASE PRIMARY KEY NOT NULL"],
    }[kind]
    tail = [f"PRIMARY KEY (k{', k2' if len(keys) == 2 else ''})"] if kind in ("pair", "without") else []
    if rng.random() < 0.15 and not strict:
        columns.append(f"made AS (typeof({quoted(names[0])})) {rng.choice(('STORED', 'VIRTUAL'))}")
    if rng.random() < 0.15 and kind in ("rowid", "auto"):
        columns.append(f"above {'INT' if strict else 'INTEGER'} REFERENCES {quoted(name)} (k)")
        names, makers = [*names, "above"], [*makers, lambda _: None]
    options = [word for word, wanted in (("STRICT", strict), ("WITHOUT ROWID", kind == "without")) if wanted]
    run(f"CREATE TABLE {quoted(name)} ({', '.join([*keys, *columns, *tail])}) {', '.join(options)}")
    shown = ", ".join(["k", *(["k2"] if len(keys) == 2 else []), *map(quoted, names)])
    for row in range(rng.choice((0, 1, 5, 12))):
        key: list[object] = [row * 3 + 1 if kind in ("rowid", "auto") else f"{rng.choice(sources.WORDS)}{row}"]
        if kind == "none":
            key = [sources.any_value(rng)]
        if kind == "nullable" and not strict and rng.random() < 0.2:
            key = [None]
        key += [row] if len(keys) == 2 else []
        values = [*key, *(maker(rng) for maker in makers)]
        db.execute(f"INSERT INTO {quoted(name)} ({shown}) VALUES ({', '.join('?' * len(values))})", values)
    if "above" in names:
        db.execute(f"UPDATE {quoted(name)} SET above = (SELECT max(k) FROM {quoted(name)}) WHERE k > 3")
    if kind == "auto" and rng.random() < 0.5:
        db.execute(f"UPDATE sqlite_sequence SET seq = seq + 100 WHERE name = {literal(name)}")
    if rng.random() < 0.4:
        column = quoted(rng.choice(names))
        extra = rng.choice(("", " DESC", " COLLATE NOCASE", f", k) WHERE ({column} IS NOT NULL"))
        run(f"CREATE INDEX {quoted('by ' + name)} ON {quoted(name)} ({column}{extra})")
    if rng.random() < 0.3:
        run(f"CREATE VIEW {quoted('all ' + name)} AS SELECT count(*) AS n, min(k) AS k FROM {quoted(name)}")
    if rng.random() < 0.2:
        run(
            f"CREATE TRIGGER {quoted('on ' + name)} AFTER DELETE ON {quoted(name)} BEGIN"
            f" DELETE FROM {quoted(name)} WHERE k = old.k; END"
        )
