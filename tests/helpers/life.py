"""A small application with every kind of table, and the life that it may lead between two moments."""

from __future__ import annotations

from contextlib import suppress

import apsw
from hypothesis import strategies as st

from towpath.checks import Decision

SCHEMA = """
CREATE TABLE log (what TEXT);
CREATE TABLE owner (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, nick TEXT UNIQUE,
    best_item INTEGER REFERENCES item (id) ON DELETE SET NULL);
CREATE TABLE item (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL REFERENCES owner (id) ON DELETE CASCADE,
    parent_id INTEGER REFERENCES item (id) ON DELETE CASCADE, name TEXT, UNIQUE (owner_id, name));
CREATE UNIQUE INDEX owner_email_folded ON owner (lower(email));
CREATE TABLE tag (item_id INTEGER NOT NULL REFERENCES item (id), word TEXT NOT NULL, weight REAL,
    PRIMARY KEY (item_id, word)) WITHOUT ROWID;
CREATE TABLE metric (at TEXT, value);
CREATE VIRTUAL TABLE words USING fts5 (body, seen UNINDEXED);
CREATE VIRTUAL TABLE spans USING rtree (id, low, high, +label);
CREATE TRIGGER item_named AFTER UPDATE ON item BEGIN
    INSERT INTO log VALUES ('item ' || new.id);
    DELETE FROM words WHERE rowid = new.id;
    INSERT INTO words (rowid, body) VALUES (new.id, new.name);
END;
CREATE TRIGGER owner_made AFTER INSERT ON owner BEGIN INSERT INTO log VALUES ('owner ' || new.id); END;
"""
FILL = [Decision("TB116", name, "fill", "it is searched") for name in ("words", "spans")]
FILLED = (
    "SELECT rowid, typeof(body), hex(body), typeof(seen), hex(seen) FROM words ORDER BY rowid",
    "SELECT id, quote(low), quote(high), typeof(label), hex(label) FROM spans ORDER BY id",
)
IDS = st.integers(1, 6)
WORDS = st.sampled_from(["a", "B", "é", "it's", "x|y", "longer text\0with NUL", ""])
EMAILS = st.sampled_from([f"{name}@example.com" for name in ("ann", "Ann", "bob", "cy", "dee", "eve")])

OPERATIONS = st.one_of(
    st.tuples(st.just("INSERT INTO owner VALUES (?, ?, ?, NULL)"), st.tuples(IDS, EMAILS, st.none() | WORDS)),
    st.tuples(st.just("INSERT INTO item VALUES (?, ?, ?, ?)"), st.tuples(IDS, IDS, st.none() | IDS, st.none() | WORDS)),
    st.tuples(st.just("INSERT INTO tag VALUES (?, ?, ?)"), st.tuples(IDS, WORDS, st.floats(allow_nan=False))),
    st.tuples(st.just("INSERT INTO metric VALUES (?, ?)"), st.tuples(WORDS, st.none() | WORDS | st.integers(0, 2))),
    st.tuples(st.just("UPDATE owner SET email = ? WHERE id = ?"), st.tuples(EMAILS, IDS)),
    st.tuples(st.just("UPDATE owner SET nick = ? WHERE id = ?"), st.tuples(WORDS, IDS)),
    st.tuples(st.just("UPDATE owner SET best_item = ? WHERE id = ?"), st.tuples(st.none() | IDS, IDS)),
    st.tuples(st.just("UPDATE item SET owner_id = ? WHERE id = ?"), st.tuples(IDS, IDS)),
    st.tuples(st.just("UPDATE item SET parent_id = ? WHERE id = ?"), st.tuples(st.none() | IDS, IDS)),
    st.tuples(st.just("UPDATE item SET name = ? WHERE id = ?"), st.tuples(WORDS, IDS)),
    st.tuples(st.just("UPDATE metric SET value = value || 'x' WHERE at = ?"), st.tuples(WORDS)),
    st.tuples(st.just("DELETE FROM owner WHERE id = ?"), st.tuples(IDS)),
    st.tuples(st.just("DELETE FROM item WHERE id = ?"), st.tuples(IDS)),
    st.tuples(st.just("DELETE FROM tag WHERE item_id = ?"), st.tuples(IDS)),
    st.tuples(st.just("DELETE FROM metric WHERE rowid % 3 = ?"), st.tuples(st.integers(0, 2))),
    st.tuples(
        st.just("INSERT OR REPLACE INTO words (rowid, body, seen) VALUES (?, ?, ?)"),
        st.tuples(IDS, st.none() | WORDS, st.none() | WORDS | st.integers(-(2**63), 2**63 - 1)),
    ),
    st.tuples(st.just("UPDATE words SET body = ? WHERE rowid = ?"), st.tuples(WORDS, IDS)),
    st.tuples(st.just("DELETE FROM words WHERE rowid = ?"), st.tuples(IDS)),
    st.tuples(
        st.just("INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?)"),
        st.tuples(IDS, st.floats(-1e6, 0, width=32), st.floats(0, 1e6), st.none() | WORDS),
    ),
    st.tuples(st.just("DELETE FROM spans WHERE id = ?"), st.tuples(IDS)),
    # a unique value moves from a row that goes to a row that comes
    st.tuples(st.just("REPLACED"), st.tuples(IDS, IDS)),
    st.tuples(st.just("SWAP"), st.tuples(IDS, IDS)),
)
Operations = list[tuple[str, tuple[object, ...]]]
LIFE = st.lists(OPERATIONS, min_size=3, max_size=25)
POPULATION = """
INSERT INTO owner VALUES (1, 'ann@example.com', 'a', NULL), (2, 'bob@example.com', 'B', NULL),
    (3, 'cy@example.com', NULL, NULL), (4, 'dee@example.com', 'it''s', NULL);
INSERT INTO item VALUES (1, 1, NULL, 'a'), (2, 1, 1, 'B'), (3, 2, 2, 'a'), (4, 3, 6, NULL),
    (5, 4, 4, 'é'), (6, 3, NULL, 'é');
UPDATE owner SET best_item = id + 1 WHERE id < 4;
INSERT INTO tag SELECT id, 'a', id / 3.0 FROM item UNION ALL SELECT id, 'B', 1 FROM item;
INSERT INTO metric VALUES ('a', 1), ('a', 1), ('B', NULL), ('', 'x'), ('é', 2);
INSERT INTO words (rowid, body) SELECT id, name FROM item;
INSERT INTO spans VALUES (1, 0.1, 0.3, 'a'), (2, -5, 5, NULL);
DELETE FROM log;
"""


def live(db: apsw.Connection, operations: Operations) -> None:
    """What an application does: each operation holds its constraints, or fails and changes nothing."""
    db.execute("PRAGMA foreign_keys = on")
    for sql, values in operations:
        with suppress(apsw.ConstraintError), db:
            if sql == "SWAP":
                swap(db, *values)
            elif sql == "REPLACED":
                replaced(db, *values)
            else:
                db.execute(sql, values)


def swap(db: apsw.Connection, left: object, right: object) -> None:
    """Two owners exchange their addresses."""
    emails = dict(db.execute("SELECT id, email FROM owner WHERE id IN (?, ?)", (left, right)))
    if len(emails) == 2:
        db.execute("UPDATE owner SET email = 'swap' WHERE id = ?", (left,))
        db.execute("UPDATE owner SET email = ? WHERE id = ?", (emails[left], right))
        db.execute("UPDATE owner SET email = ? WHERE id = ?", (emails[right], left))


def replaced(db: apsw.Connection, left: object, right: object) -> None:
    """An owner goes, his items go to another owner, and his e-mail address to a new one."""
    email = db.execute("SELECT email FROM owner WHERE id = ?", (left,)).get
    if email and left != right:
        db.execute("UPDATE item SET owner_id = ?, name = NULL WHERE owner_id = ?", (right, left))
        db.execute("DELETE FROM owner WHERE id = ?", (left,))
        db.execute("INSERT INTO owner (email) VALUES (?)", (email.upper() if left == 1 else email,))
