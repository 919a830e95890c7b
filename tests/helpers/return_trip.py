"""A small source in PostgreSQL carried forward, changed on the other side, and carried back; no D1 is needed for it.

The target is a copy of the shaped file: what D1 would hold.  It is changed by SQL, the changes go back through the fit
turned round, and the source is captured and shaped once more: it must then be the copy again.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg

from helpers.fitting import change
from towpath.fitting.account import fit
from towpath.fitting.adopt import run_migrations
from towpath.fitting.carrying import carry_back
from towpath.fitting.looking import Looked, look
from towpath.fitting.multiset import as_multiset
from towpath.fitting.shape import shape
from towpath.fitting.source import source_of
from towpath.fitting.spec import Fit
from towpath.fitting.turned import Turning, turn
from towpath.local.postgresql import Postgresql
from towpath.postgresql.capture import capture
from towpath.postgresql.catalog import Catalog
from towpath.postgresql.connection import writing
from towpath.postgresql.snapshot import Snapshot
from towpath.tables import opened
from towpath.tables.changes import TableChanges, find_changes
from towpath.tables.export import Exporter
from towpath.tables.schema import Schema


@dataclass
class ReturnTrip:
    """A source, and a target that was filled from it."""

    server: Postgresql
    url: str
    folder: Path
    rules: Fit
    schema: Schema
    catalog: Catalog
    turning: Turning

    @classmethod
    def begin(cls, server: Postgresql, url: str, folder: Path, source: str, target: str, rules: Fit) -> ReturnTrip:
        """Make the source, and fill the target from it."""
        with psycopg.connect(url, password=server.password, autocommit=True) as db:
            db.execute(source.encode())
        folder.mkdir(exist_ok=True)
        schema = run_migrations([("0001_init.sql", target)]).schema
        with Snapshot(url, server.secret) as snapshot:
            catalog = snapshot.read_catalog()
        fitted = fit(source_of(catalog), schema, rules)
        fitted.require_sound()
        trip = cls(server, url, folder, rules, schema, catalog, turn(fitted, rules, catalog))
        trip.shaped("then")
        shutil.copytree(folder / "then", folder / "there")
        return trip

    def shaped(self, name: str) -> Path:
        """The source as it is now, as it arrives."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        with Snapshot(self.url, self.server.secret) as snapshot:
            self.catalog = snapshot.read_catalog()
            fitted = fit(source_of(self.catalog), self.schema, self.rules)
            capture(snapshot, self.catalog, folder / "capture.sqlite")
            return shape(folder / "capture.sqlite", self.schema, fitted, folder / "snapshot.sqlite").path

    def write(self, *statements: str) -> None:
        """Write on the target, as its application does."""
        change(self.folder / "there" / "snapshot.sqlite", "PRAGMA foreign_keys = on; " + ";".join(statements))

    def written(self) -> dict[str, TableChanges]:
        """What the target has otherwise than the snapshot."""
        with closing(Exporter(self.folder / "then" / "snapshot.sqlite")) as then:
            made = then.export("plan", {})
            with closing(Exporter(self.folder / "there" / "snapshot.sqlite")) as there:
                found = find_changes(made, then, there)
        return {name: as_multiset(one) if one.entry.carries_rowid else one for name, one in found.items()}

    def look(self) -> dict[str, Looked]:
        """Whether all of it can go back."""
        with closing(writing(self.url, self.server.secret)) as connection:
            return {
                name: look(connection, self.turning.tables[name], one)
                for name, one in self.written().items()
                if name in self.turning.tables
            }

    def carry(self, looked: Mapping[str, Looked], sequences: Mapping[str, int] | None = None) -> int:
        """Carry it back."""
        todo = [(self.turning.tables[name], one.changes) for name, one in looked.items()]
        with closing(writing(self.url, self.server.secret)) as connection:
            return carry_back(connection, self.catalog, todo, sequences or {})

    def back(self) -> int:
        """All of it, and the proof: the source, carried forward again, is the target, but for other words."""
        looked = self.look()
        wrong = [(name, one.no_way, one.no_value) for name, one in looked.items() if one.no_way or one.no_value]
        assert not wrong, wrong
        done = self.carry(looked)
        assert self.unlike(looked) == {}
        return done

    def unlike(self, looked: Mapping[str, Looked]) -> dict[str, list[tuple[str, str]]]:
        """Rows that the two sides have otherwise, by table; cells in other words are compared in the source's."""
        self.shaped("now")
        sides = [Exporter(self.folder / name / "snapshot.sqlite") for name in ("now", "there")]
        found: dict[str, list[tuple[str, str]]] = {}
        for name in self.turning.tables:
            now, there = (dict(opened.source_rows(s.db, s.relations[name], None, None)) for s in sides)
            for key, cells in looked[name].spelled.items() if name in looked else ():
                words = there[key].split("|")
                for number, (theirs, ours) in cells.items():
                    assert words[number] == theirs
                    words[number] = ours
                there[key] = "|".join(words)
            if sides[0].relations[name].is_multiset:
                different = sorted(now.values()) != sorted(there.values())
                found |= {name: [("", "")]} if different else {}
                continue
            rows = {
                key: (now.get(key, ""), there.get(key, ""))
                for key in now.keys() | there.keys()
                if opened.normal(now.get(key, "n")) != opened.normal(there.get(key, "n"))
            }
            found |= {name: sorted(rows.values())} if rows else {}
        for side in sides:
            side.close()
        return found

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """One query to the source."""
        options = "-c timezone=UTC"
        with psycopg.connect(self.url, password=self.server.password, options=options) as db:
            return list(db.execute(sql.encode()).fetchall())

    def run(self, sql: str) -> None:
        """Change the source, as its application does."""
        with psycopg.connect(self.url, password=self.server.password, autocommit=True) as db:
            db.execute(sql.encode())
